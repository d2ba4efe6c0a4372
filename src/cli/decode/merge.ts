import type { KeyPress } from './key-press.ts';

/** As far apart as two reports of one press may be: kMergeWindowMs of native/leg/dtmf_merger.h. */
export const MERGE_WINDOW_MS = 400;
/** An INFO is sent when the key comes up, and travels through proxies. */
export const INFO_WINDOW_MS = 1000;

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
  const taken = new Set<KeyPress>();
  return worse.filter((press) => {
    const match = better
      .filter((candidate) => candidate.event === press.event && !taken.has(candidate))
      .filter((candidate) => isNear(candidate, press, afterMs))
      .sort((a, b) => Math.abs(a.onsetMs - press.onsetMs) - Math.abs(b.onsetMs - press.onsetMs))[0];
    if (match !== undefined) taken.add(match);
    return match === undefined;
  });
}

function isNear(better: KeyPress, worse: KeyPress, afterMs: number): boolean {
  const lateMs = worse.onsetMs - better.onsetMs;
  return lateMs >= -MERGE_WINDOW_MS && lateMs <= Math.max(afterMs, (better.durationMs ?? 0) + MERGE_WINDOW_MS);
}
