import { Canvas, type Colour, textWidth } from './canvas.ts';
import {
  FAINT_INK,
  GRID,
  INK,
  LANE,
  LEVEL_DBM0_MAX,
  LEVEL_DBM0_MIN,
  levelColour,
  NO_AUDIO,
  PAPER,
  PATH_COLOURS,
  TONE_LINE,
} from './colours.ts';
import type { Panel, Path, PlottedPress } from './panel.ts';
import { drawSound, LINE_OPACITY, LINES_HZ, yOf } from './sound.ts';
import { PLOTTED_HZ } from './spectrogram.ts';

const LEFT = 104;
const RIGHT = 150;
const TOP = 14;
const TITLE_HEIGHT = 48;
const LANE_HEIGHT = 40;
const LANE_GAP = 4;
const SOUND_HEIGHT = 480;
const NO_SOUND_HEIGHT = 60;
const AXIS_HEIGHT = 58;
const LEGEND_HEIGHT = 34;
const NOTE_HEIGHT = 20;
const PRESS_HEIGHT = 14;
const PRESS_WIDTH_MIN = 2;
const LETTER_HEIGHT = 14;
/** Between labels of the time axis. */
const LABEL_EACH_PX = 90;
const LANE_NAMES: Readonly<Record<Path, string>> = { event: 'events', inband: 'in-band', info: 'INFO' };
const LEGEND: Readonly<Record<Path, string>> = {
  event: 'key by event (RFC 4733)',
  inband: 'key by tones',
  info: 'key by SIP INFO',
};
const COLUMNS_MIN = 960;
const COLUMNS_MAX = 2400;
const COLUMNS_PER_SECOND = 80;
const SCALE = 2;

/** How wide the sound of a stream is drawn: a short one in detail, a long one as wide as a page takes. */
export function columnsFor(durationMs: number): number {
  const wished = Math.ceil((durationMs / 1000) * COLUMNS_PER_SECOND);
  return Math.max(COLUMNS_MIN, Math.min(COLUMNS_MAX, wished));
}

interface Legend {
  readonly paths: readonly Path[];
  readonly hasSound: boolean;
  readonly notes: readonly string[];
}

/** All panels one below the other, the legend at the bottom, and under it what a person must know of the picture. */
export function drawPicture(panels: readonly Panel[], notes: readonly string[]): Canvas {
  const columns = Math.max(COLUMNS_MIN, ...panels.map(({ durationMs }) => columnsFor(durationMs)));
  const lanes = panels.map(lanesOf);
  const heights = lanes.map((own) => TITLE_HEIGHT + own.length * (LANE_HEIGHT + LANE_GAP) + SOUND_HEIGHT + AXIS_HEIGHT);
  const height = TOP + heights.reduce((sum, one) => sum + one, 0) + LEGEND_HEIGHT + NOTE_HEIGHT * notes.length;
  const canvas = new Canvas(LEFT + columns + RIGHT, height, PAPER);
  let y = TOP;
  for (const [index, panel] of panels.entries()) {
    drawPanel(canvas, y, panel, lanes[index] ?? []);
    y += heights[index] ?? 0;
  }
  const hasSound = panels.some(({ spectrogram }) => spectrogram !== null);
  drawLegend(canvas, y, { paths: [...new Set(lanes.flat())], hasSound, notes });
  return canvas;
}

function soundHeightOf(panel: Panel | undefined): number {
  return panel?.spectrogram === null ? NO_SOUND_HEIGHT : SOUND_HEIGHT;
}

/** Both ways a key may come have a lane, pressed or not: an empty one is news too. */
function lanesOf({ presses }: Panel): readonly Path[] {
  return presses.some(({ path }) => path === 'info') ? ['event', 'inband', 'info'] : ['event', 'inband'];
}

function drawPanel(canvas: Canvas, top: number, panel: Panel, lanes: readonly Path[]): void {
  const { title, subtitle, durationMs, spectrogram, presses } = panel;
  const columns = columnsFor(durationMs);
  const width = canvas.width - 2 * TOP;
  canvas.text(TOP, top, fitted(title, width), { colour: INK, scale: SCALE });
  canvas.text(TOP, top + 22, fitted(subtitle, width), { colour: FAINT_INK, scale: SCALE });
  const xOf = (ms: number): number => LEFT + Math.round((ms / Math.max(1, durationMs)) * columns);
  let y = top + TITLE_HEIGHT;
  for (const path of lanes) {
    drawLane(canvas, { y, columns, path, xOf }, presses);
    y += LANE_HEIGHT + LANE_GAP;
  }
  const soundHeight = soundHeightOf(panel);
  canvas.fill(LEFT, y, columns, soundHeight, LANE);
  if (spectrogram === null) {
    const words = 'no G.711 audio in this stream';
    canvas.text(LEFT + columns / 2, y + soundHeight / 2 - 7, words, {
      colour: FAINT_INK,
      scale: SCALE,
      align: 'centre',
    });
  } else {
    drawSound(canvas, { x: LEFT, y, width: columns, height: SOUND_HEIGHT }, panel, spectrogram);
    drawFrequencies(canvas, y, columns);
    drawLevels(canvas, LEFT + columns + 66, y);
  }
  drawTime(canvas, { y: y + soundHeight, columns, xOf }, durationMs);
}

interface LanePlace {
  readonly y: number;
  readonly columns: number;
  readonly path: Path;
  xOf(ms: number): number;
}

function drawLane(canvas: Canvas, { y, columns, path, xOf }: LanePlace, presses: readonly PlottedPress[]): void {
  const colour = PATH_COLOURS[path];
  canvas.fill(LEFT, y, columns, LANE_HEIGHT, LANE);
  canvas.text(LEFT - 8, y + 14, LANE_NAMES[path], { colour, scale: SCALE, align: 'right' });
  const own = presses.filter((one) => one.path === path);
  if (own.length === 0) canvas.text(LEFT + 8, y + 14, 'none', { colour: FAINT_INK, scale: SCALE });
  let free = LEFT - 1;
  for (const press of own) {
    const from = xOf(press.onsetMs);
    const width = Math.max(PRESS_WIDTH_MIN, xOf(press.onsetMs + press.durationMs) - from);
    canvas.fill(from, y + LANE_HEIGHT - PRESS_HEIGHT - 2, width, PRESS_HEIGHT, colour);
    const letterWidth = textWidth(press.label, SCALE);
    const left = from + Math.floor((width - letterWidth) / 2);
    if (left <= free) continue;
    canvas.text(left, y + 4, press.label, { colour, scale: SCALE });
    free = left + letterWidth + 1;
  }
}

function drawFrequencies(canvas: Canvas, y: number, columns: number): void {
  for (let hertz = 0; hertz <= PLOTTED_HZ; hertz += 500) {
    const at = y + yOf(hertz, SOUND_HEIGHT);
    canvas.fill(LEFT - 5, at, 5, 1, FAINT_INK);
    if (hertz % 1000 !== 0) continue;
    const text = hertz === 0 ? '0 Hz' : String(hertz);
    const textY = Math.max(y, Math.min(y + SOUND_HEIGHT - LETTER_HEIGHT, at - 6));
    canvas.text(LEFT - 9, textY, text, { colour: INK, scale: SCALE, align: 'right' });
  }
  for (const hertz of LINES_HZ) {
    const at = y + yOf(hertz, SOUND_HEIGHT);
    canvas.fill(LEFT + columns, at, 6, 1, FAINT_INK);
    canvas.text(LEFT + columns + 9, at - 3, `${hertz} Hz`, { colour: INK });
  }
  canvas.text(LEFT + columns + 9, y + yOf(1633, SOUND_HEIGHT) - 18, 'DTMF', { colour: INK });
}

function drawLevels(canvas: Canvas, x: number, y: number): void {
  const [width, height] = [14, 240];
  const range = LEVEL_DBM0_MAX - LEVEL_DBM0_MIN;
  for (let row = 0; row < height; row += 1) {
    canvas.fill(x, y + row, width, 1, levelColour(LEVEL_DBM0_MAX - (row / height) * range));
  }
  canvas.outline(x, y, width, height, FAINT_INK);
  for (let level = -10; level >= LEVEL_DBM0_MIN; level -= 10) {
    const at = y + Math.round(((LEVEL_DBM0_MAX - level) / range) * height);
    canvas.fill(x + width, at, 4, 1, FAINT_INK);
    canvas.text(x + width + 7, at - 3, String(level), { colour: INK });
  }
  canvas.text(x, y + height + 6, 'dBm0', { colour: INK });
}

interface AxisPlace {
  readonly y: number;
  readonly columns: number;
  xOf(ms: number): number;
}

/** Steps of 1, 2 or 5 times a power of ten. */
function drawTime(canvas: Canvas, { y, columns, xOf }: AxisPlace, durationMs: number): void {
  const least = (durationMs / Math.max(1, columns)) * LABEL_EACH_PX;
  const power = 10 ** Math.floor(Math.log10(Math.max(1, least)));
  const stepMs = Math.max(10, power * ([1, 2, 5, 10].find((factor) => factor * power >= least) ?? 10));
  const digits = stepMs >= 1000 ? 0 : stepMs >= 100 ? 1 : 2;
  for (let at = 0; at <= durationMs; at += stepMs) {
    canvas.fill(xOf(at), y, 1, 6, FAINT_INK);
    canvas.text(xOf(at), y + 10, (at / 1000).toFixed(digits), { colour: INK, scale: SCALE, align: 'centre' });
  }
  const words = 'seconds from the first packet or sample';
  canvas.text(LEFT + columns, y + 28, words, { colour: FAINT_INK, align: 'right' });
}

function drawLegend(canvas: Canvas, y: number, { paths, hasSound, notes }: Legend): void {
  let x = LEFT;
  const entry = (text: string, draw: () => void): void => {
    draw();
    canvas.text(x + LETTER_HEIGHT + 8, y, text, { colour: INK, scale: SCALE });
    x += LETTER_HEIGHT + 8 + textWidth(text, SCALE) + 24;
  };
  const square = (colour: Colour) => () => canvas.fill(x, y, LETTER_HEIGHT, LETTER_HEIGHT, colour);
  canvas.fill(LEFT, y - 10, canvas.width - LEFT - RIGHT, 1, GRID);
  for (const path of paths) entry(LEGEND[path], square(PATH_COLOURS[path]));
  if (hasSound) {
    entry('DTMF frequency', () => {
      square(levelColour(LEVEL_DBM0_MIN))();
      canvas.fill(x, y + LETTER_HEIGHT / 2, LETTER_HEIGHT, 1, TONE_LINE, LINE_OPACITY);
    });
    entry('no audio', square(NO_AUDIO));
  }
  for (const [index, note] of notes.entries()) {
    canvas.text(LEFT, y + NOTE_HEIGHT * (index + 1) + 4, note, { colour: FAINT_INK, scale: SCALE });
  }
}

/** Cut to a width. */
function fitted(text: string, width: number): string {
  if (textWidth(text, SCALE) <= width) return text;
  const letters = [...text];
  while (letters.length > 0 && textWidth(`${letters.join('')}...`, SCALE) > width) letters.pop();
  return `${letters.join('')}...`;
}
