#!/usr/bin/env python3
"""Fits the score of the in-band detector: points for each measure of evidence.h, straight between five knots, added up.
  fit.py WEIGHED_FOLDER HEADER DATE
WEIGHED_FOLDER holds what native/bench/weigh printed: p*.f32 of key presses, n.SOURCE.VARIANT.f32 of speech and music. Prints
the cross-validation (three folds of whole sources), then fits on every source but those held out and writes the table."""
import glob, os, re, sys
import numpy as np

HEAD = 4
MEASURES = re.findall(r'^  (k\w+),', open(os.path.join(os.path.dirname(__file__), '../evidence.h')).read().split('enum Measure')[1], re.M)
ROW_OFF, COLUMN_OFF = MEASURES.index('kRowOff'), MEASURES.index('kColumnOff')
HOPS_MIN, HOPS_LONG, HOPS_MAX, HOPS_IN_TIME = 6, 9, 40, 11
TWIST = MEASURES.index('kTwist')
OFF_MAX, TWIST_MAX = 2.55, 2.99
HELD_OUT = ('fillets-ng-data-cs', 'asterisk-core-sounds-it-wav', 'hedgewars-data', 'unknown-horizons', 'asterisk-core-sounds-en-wav')
FOLDS = (('flight-of-the-amazon-queen', 'asterisk-core-sounds-ru-wav', 'drascula-music', 'tuxmath-data'),
         ('asterisk-core-sounds-fr-wav', 'ktuberling-data', 'colobot-common-sounds', 'espeak-ng', 'asterisk-prompt-es-co', 'freedroidrpg-data'))
# Keys that a telephone in a film plays: not speech. Source, seconds from and to.
REAL_KEYS = (('flight-of-the-amazon-queen', 1464.5, 1466.5),)
QUANTILES = (1, 20, 45, 70, 99)
# Presses through GSM 06.10 are few and hard: each counts so often.
COUNTED = {'p1004': 4}
# Of a false press, beside a missed one.
NEGATIVE_WEIGHT, L2 = 1.0, 1e-4

def load(path):
    return np.fromfile(path, '<f4').reshape(-1, HEAD + len(MEASURES))

def examples(paths, label):
    """Rows, and for each the number of its run: windows of one key without a longer gap."""
    rows, runs, base = [], [], 0
    for path in paths:
        a = load(path)
        source = os.path.basename(path)[2:-4].rsplit('.', 1)
        keep = a[:, 3] == label
        for name, start, end in REAL_KEYS:
            if source[0] == name and label == 0:
                keep &= ~((a[:, 0] > start * 700) & (a[:, 0] < end * 1300) & (a[:, ROW_OFF + HEAD] < 0.3) & (a[:, COLUMN_OFF + HEAD] < 0.3))
        if not keep.any():
            continue
        new = np.r_[True, (a[1:, 2] <= a[:-1, 2]) | (a[1:, 1] != a[:-1, 1]) | (a[1:, 0] - a[:-1, 0] > 35)]
        run = np.cumsum(new) + base
        base = run[-1] + 1
        rows.append(a[keep])
        runs.append(run[keep])
    return np.concatenate(rows), np.concatenate(runs)

def segments(a, knots):
    x = a[:, HEAD:].astype(float)
    return np.column_stack([np.clip(x[:, i], knots[i][j], knots[i][j + 1]) - knots[i][j] for i in range(len(MEASURES)) for j in range(4)])

def solve(x, y, w):
    mean, scale = x.mean(0), x.std(0) + 1e-9
    z = np.c_[np.ones(len(x)), (x - mean) / scale]
    b = np.zeros(z.shape[1])
    ridge = L2 * w.sum() * np.r_[0, np.ones(len(b) - 1)]
    for _ in range(40):
        p = 1 / (1 + np.exp(-np.clip(z @ b, -30, 30)))
        h = w * p * (1 - p) + 1e-12
        step = np.linalg.solve((z * h[:, None]).T @ z + np.diag(ridge), z.T @ (w * (y - p)) - ridge * b)
        b += step
        if abs(step).max() < 1e-5:
            break
    slopes = b[1:] / scale
    return b[0] - (slopes * mean).sum(), slopes

def spread(quantiles):
    """Where a measure piles up, its knots would fall together."""
    least = (quantiles[-1] - quantiles[0]) / 20
    for j in range(1, 4):
        quantiles[j] = max(quantiles[j], quantiles[j - 1] + least)
    for j in range(3, 0, -1):
        quantiles[j] = min(quantiles[j], quantiles[j + 1] - least)
    return quantiles

def fit_one(p, n):
    random = np.random.default_rng(1)
    p = p[random.random(len(p)) < min(1.0, 100_000 / len(p))]
    both = np.concatenate([p[random.integers(len(p), size=50_000)], n[random.integers(len(n), size=50_000)]])[:, HEAD:]
    knots = [spread(np.percentile(both[:, i], QUANTILES)) for i in range(len(MEASURES))]
    x = np.concatenate([segments(p, knots), segments(n, knots)])
    y = np.r_[np.ones(len(p)), np.zeros(len(n))]
    w = np.r_[np.full(len(p), 1 / len(p)), np.full(len(n), NEGATIVE_WEIGHT / len(n))] * len(y)
    bias, slopes = solve(x, y, w)
    return knots, bias, slopes

def fit(positive, negative):
    """One table until HOPS_LONG, one from there on; their examples overlap by two windows."""
    def between(a, first, last):
        return a[(a[:, 2] >= first) & (a[:, 2] <= last) & (abs(a[:, HEAD + TWIST]) <= TWIST_MAX)]
    return [fit_one(between(positive, 5, HOPS_LONG), between(negative, 5, HOPS_LONG)),
            fit_one(between(positive, HOPS_LONG - 1, 14), between(negative, HOPS_LONG - 1, HOPS_MAX))]

def score(model, a):
    soon, long = [bias + segments(a, knots) @ slopes for knots, bias, slopes in model]
    s = np.where(a[:, 2] < HOPS_LONG, soon, long)
    s[(a[:, HEAD + ROW_OFF] > OFF_MAX) | (a[:, HEAD + COLUMN_OFF] > OFF_MAX) | (abs(a[:, HEAD + TWIST]) > TWIST_MAX)] = -99
    return s

def best(model, rows, runs, first, last):
    keep = (rows[:, 2] >= first) & (rows[:, 2] <= last)
    if not keep.any():
        return np.zeros(0)
    top = np.full(runs.max() + 1, -99.0)
    np.maximum.at(top, runs[keep], score(model, rows[keep]))
    return top[np.unique(runs)]

def main(folder, header, date):
    presses = sorted(glob.glob(os.path.join(folder, 'p*.f32')))
    others = sorted(glob.glob(os.path.join(folder, 'n.*.f32')))
    held = [path for path in others if os.path.basename(path)[2:].startswith(HELD_OUT)]
    others = [path for path in others if path not in held and os.path.getsize(path) > 0]
    counted = [path for path in presses for _ in range(COUNTED.get(os.path.basename(path)[:-4], 1))]
    positive, _ = examples(counted, 1)
    thresholds = np.arange(0, 6.5, 0.5)
    print('threshold   ', *(f'{t:6.1f}' for t in thresholds))
    folds = [[path for path in others if os.path.basename(path)[2:].startswith(fold)] for fold in FOLDS]
    folds.append([path for path in others if not any(path in fold for fold in folds)])
    for number, fold in enumerate(folds):
        test, test_runs = examples(fold, 0)
        model = fit(positive, examples([path for path in others if path not in fold], 0)[0])
        false = best(model, test, test_runs, HOPS_MIN, HOPS_MAX)
        print(f'fold {number} false', *(f'{(false > t).sum():6d}' for t in thresholds))
    model = fit(positive, examples(others, 0)[0])
    if held:
        test, test_runs = examples(held, 0)
        false = best(model, test, test_runs, HOPS_MIN, HOPS_MAX)
        print('held out    ', *(f'{(false > t).sum():6d}' for t in thresholds))
    for path in presses:
        rows, runs = examples([path], 1)
        heard = best(model, rows, runs, HOPS_MIN, HOPS_IN_TIME)
        print(os.path.basename(path)[:-4].ljust(12), *(f'{100 * (heard > t).mean():6.2f}' for t in thresholds), '% heard')
    with open(header, 'w') as out:
        out.write(f'// Written by fit/fit.py on {date}; do not edit. Points of each measure (a column): a gain for each of the four segments between\n'
                  '// five knots, level beyond the outer ones.\n'
                  '#pragma once\n\n#include "dtmf/evidence.h"\n\nnamespace hushtone {\n\n'
                  f'constexpr size_t kSegments = 4;\nconstexpr uint32_t kHopsLong = {HOPS_LONG};\n\n'
                  'struct PointTable {\n  float at_first_knots;\n  float knots[kSegments + 1][kMeasures];\n  float gains[kSegments][kMeasures];\n};\n')
        for name, (knots, bias, slopes) in zip(('kPointsSoon', 'kPointsLong'), model):
            out.write(f'\nconstexpr PointTable {name} = {{\n    {bias:.4f}F,\n')
            write_rows(out, [[knots[i][j] for i in range(len(MEASURES))] for j in range(5)])
            write_rows(out, [[slopes[4 * i + j] for i in range(len(MEASURES))] for j in range(4)])
            out.write('};\n')
        out.write('\n}  // namespace hushtone\n')
    for i, name in enumerate(MEASURES):
        for knots, _, slopes in model:
            points = np.r_[0, np.cumsum(slopes[4 * i:4 * i + 4] * np.diff(knots[i]))]
            print(name[1:].ljust(14), *(f'{k:8.2f}' for k in knots[i]), ' points', *(f'{p:7.2f}' for p in points))

def write_rows(out, table):
    for number, row in enumerate(table):
        for at in range(0, len(row), 11):
            numbers = ', '.join(f'{value:.4f}F' for value in row[at:at + 11])
            start = ('    {{' if number == 0 else '     {') if at == 0 else '      '
            end = ',' if at + 11 < len(row) else '}},' if number == len(table) - 1 else '},'
            out.write(start + numbers + end + '\n')

main(*sys.argv[1:4])
