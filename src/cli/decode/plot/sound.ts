import type { Canvas } from './canvas.ts';
import { levelColour, NO_AUDIO, PATH_COLOURS, TONE_LINE } from './colours.ts';
import type { Panel } from './panel.ts';
import { PLOTTED_HZ, type Spectrogram } from './spectrogram.ts';

/** ITU-T Q.23. */
export const LINES_HZ = [697, 770, 852, 941, 1209, 1336, 1477, 1633];
/**
 * What a picture must not tell apart unless it is asked to: the tones with what ITU-T Q.24 lets them be off, and the width
 * of the window. Below and above it a key that is heard is hidden too, because clipped tones show as sums, differences
 * and overtones.
 */
const HIDDEN_FROM_HZ = 600;
const HIDDEN_TO_HZ = 1_750;
/** Before a press is found, and after its end, the windows still have it. */
const HIDDEN_AROUND_MS = 60;
export const LINE_OPACITY = 0.28;
const MARK_OPACITY = 0.5;

export interface Place {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** Rows from the top. */
export function yOf(hertz: number, height: number): number {
  return Math.round((1 - hertz / PLOTTED_HZ) * (height - 1));
}

/** The spectrogram with faint lines at the frequencies of keys, and the beginnings and ends of presses. */
export function drawSound(canvas: Canvas, place: Place, panel: Panel, spectrogram: Spectrogram): void {
  const hidden = panel.isRevealed ? new Uint8Array(place.width) : hiddenColumns(panel, place.width);
  for (let column = 0; column < place.width; column += 1) {
    drawColumn(canvas, place, spectrogram, { column, isHidden: hidden[column] === 1, isRevealed: panel.isRevealed });
  }
  for (const hertz of LINES_HZ) {
    canvas.fill(place.x, place.y + yOf(hertz, place.height), place.width, 1, TONE_LINE, LINE_OPACITY);
  }
  for (const { path, onsetMs, durationMs } of panel.presses) {
    for (const atMs of [onsetMs, onsetMs + durationMs]) {
      const x = Math.min(place.width - 1, Math.round((atMs / Math.max(1, panel.durationMs)) * place.width));
      canvas.fill(place.x + x, place.y, 1, place.height, PATH_COLOURS[path], MARK_OPACITY);
    }
  }
}

interface ColumnStyle {
  readonly column: number;
  /** A key is down: only how loud it is. */
  readonly isHidden: boolean;
  readonly isRevealed: boolean;
}

function drawColumn(canvas: Canvas, place: Place, spectrogram: Spectrogram, style: ColumnStyle): void {
  const { column, isHidden, isRevealed } = style;
  const x = place.x + column;
  const all = spectrogram.loudestDbm0(column, 0, PLOTTED_HZ);
  if (all === null) {
    canvas.fill(x, place.y, 1, place.height, NO_AUDIO);
    return;
  }
  if (isHidden) {
    canvas.fill(x, place.y, 1, place.height, levelColour(all));
    return;
  }
  const band = levelColour(spectrogram.loudestDbm0(column, HIDDEN_FROM_HZ, HIDDEN_TO_HZ) ?? 0);
  for (let row = 0; row < place.height; row += 1) {
    const hertz = PLOTTED_HZ * (1 - row / (place.height - 1));
    const isInBand = !isRevealed && hertz >= HIDDEN_FROM_HZ && hertz <= HIDDEN_TO_HZ;
    canvas.point(x, place.y + row, isInBand ? band : levelColour(spectrogram.levelDbm0(column, hertz) ?? 0));
  }
}

function hiddenColumns({ presses, durationMs }: Panel, width: number): Uint8Array {
  const hidden = new Uint8Array(width);
  const columnOf = (ms: number): number => Math.floor((ms / Math.max(1, durationMs)) * width);
  for (const press of presses) {
    const from = Math.max(0, columnOf(press.onsetMs - HIDDEN_AROUND_MS));
    hidden.fill(1, from, columnOf(press.onsetMs + press.durationMs + HIDDEN_AROUND_MS) + 1);
  }
  return hidden;
}
