import type { Colour } from './canvas.ts';

export const PAPER: Colour = [255, 255, 255];
export const INK: Colour = [31, 41, 51];
export const FAINT_INK: Colour = [110, 120, 132];
export const GRID: Colour = [224, 228, 233];
export const LANE: Colour = [243, 245, 248];
/** Where no packet brought audio. */
export const NO_AUDIO: Colour = [214, 219, 225];
export const TONE_LINE: Colour = [255, 255, 255];

export const PATH_COLOURS: Readonly<Record<'event' | 'inband' | 'info', Colour>> = {
  event: [25, 98, 201],
  inband: [202, 79, 0],
  info: [30, 125, 60],
};

/** Quieter is as dark, louder is as bright. */
export const LEVEL_DBM0_MIN = -66;
export const LEVEL_DBM0_MAX = -6;
/** Few enough that a picture of noise stays small, more than an eye tells apart. */
const STEPS = 64;

/** Dark to bright, so that a print in grey keeps the order. */
const STOPS: readonly Colour[] = [
  [8, 8, 26],
  [40, 18, 84],
  [104, 28, 118],
  [176, 46, 104],
  [232, 92, 68],
  [251, 166, 72],
  [255, 244, 196],
];

const SCALE: readonly Colour[] = Array.from({ length: STEPS }, (_, step) => {
  const place = (step / (STEPS - 1)) * (STOPS.length - 1);
  const low = Math.min(Math.floor(place), STOPS.length - 2);
  const [from, to] = [STOPS[low] ?? INK, STOPS[low + 1] ?? INK];
  const between = (channel: 0 | 1 | 2): number =>
    Math.round(from[channel] + (to[channel] - from[channel]) * (place - low));
  return [between(0), between(1), between(2)];
});

export function levelColour(levelDbm0: number): Colour {
  const share = (levelDbm0 - LEVEL_DBM0_MIN) / (LEVEL_DBM0_MAX - LEVEL_DBM0_MIN);
  return SCALE[Math.max(0, Math.min(STEPS - 1, Math.round(share * (STEPS - 1))))] ?? INK;
}
