import type { KeyPress } from './key-press.ts';

/** As far apart as two reports of one press may be: kMergeWindowMs of native/leg/dtmf_merger.h. */
export const MERGE_WINDOW_MS = 400;
/** An INFO is sent when the key comes up, and travels through proxies. */
export const INFO_WINDOW_MS = 1000;
/** Presses of one key that are looked at for a match, back from the latest that may be it. */
const CANDIDATES_MAX = 64;

/**
 *   better   worse    same key, and its onset …                                 result
 *   -------  -------  --------------------------------------------------------  --------
 *   event    inband   within MERGE_WINDOW_MS of the event's, or while it lasts  one line
 *   event    info     from MERGE_WINDOW_MS before until INFO_WINDOW_MS after it one line
 *   inband   info     the same                                                  one line
 *
 * Each press takes at most one of the other kind, the nearest. In order of onset.
 */
export function mergePresses(
  events: readonly KeyPress[],
  tones: readonly KeyPress[],
  infos: readonly KeyPress[] = [],
): KeyPress[] {
  const heard = [...events, ...leftOver(events, tones, MERGE_WINDOW_MS)];
  return [...heard, ...leftOver(heard, infos, INFO_WINDOW_MS)].sort((a, b) => a.onsetMs - b.onsetMs);
}

/** Those of `worse` that describe no press of `better`. */
function leftOver(better: readonly KeyPress[], worse: readonly KeyPress[], afterMs: number): readonly KeyPress[] {
  const byKey = new Map<number, KeyPress[]>();
  for (const press of better.toSorted((a, b) => a.onsetMs - b.onsetMs)) {
    const same = byKey.get(press.event);
    if (same === undefined) byKey.set(press.event, [press]);
    else same.push(press);
  }
  const taken = new Set<KeyPress>();
  return worse.filter((press) => {
    const match = nearest(byKey.get(press.event) ?? [], press, { afterMs, taken });
    if (match !== null) taken.add(match);
    return match === null;
  });
}

/** Of `candidates`, in order of onset, the nearest that is near and not taken. */
function nearest(
  candidates: readonly KeyPress[],
  press: KeyPress,
  { afterMs, taken }: { readonly afterMs: number; readonly taken: ReadonlySet<KeyPress> },
): KeyPress | null {
  let match: KeyPress | null = null;
  const last = candidatesUntil(candidates, press.onsetMs + MERGE_WINDOW_MS);
  for (let at = last - 1; at >= Math.max(0, last - CANDIDATES_MAX); at -= 1) {
    const candidate = candidates[at];
    if (candidate === undefined || taken.has(candidate) || !isNear(candidate, press, afterMs)) continue;
    if (match === null || distance(candidate, press) < distance(match, press)) match = candidate;
  }
  return match;
}

/** How many of them begin no later than this. */
function candidatesUntil(candidates: readonly KeyPress[], onsetMs: number): number {
  let [low, high] = [0, candidates.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((candidates[middle]?.onsetMs ?? 0) <= onsetMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

const distance = (a: KeyPress, b: KeyPress): number => Math.abs(a.onsetMs - b.onsetMs);

function isNear(better: KeyPress, worse: KeyPress, afterMs: number): boolean {
  const lateMs = worse.onsetMs - better.onsetMs;
  return lateMs >= -MERGE_WINDOW_MS && lateMs <= Math.max(afterMs, (better.durationMs ?? 0) + MERGE_WINDOW_MS);
}
