import { writeFileSync } from 'node:fs';
import { basename } from 'node:path';
import { readWav } from '../../lib/wav.ts';
import type { CryptoAttribute } from '../../sip/crypto.ts';
import { CaptureDecoder } from './decode-capture.ts';
import { digitText, type KeyPress, type StreamPresses } from './key-press.ts';
import type { Panel, PlottedPress } from './plot/panel.ts';
import { columnsFor, drawPicture } from './plot/picture.ts';
import { encodePng } from './plot/png.ts';
import { Spectrogram } from './plot/spectrogram.ts';

/** Streams in one picture. */
export const PANELS_MAX = 6;
const SAMPLE_RATE = 8_000;
/** What is drawn of an INFO that does not say how long the key was down. */
const INFO_MS = 100;
const HIDDEN_NOTE = 'Digits hidden (see --reveal): 600 to 1750 Hz as one band, a pressed key as one level';
const WAV_CHUNK_SAMPLES = 80_000;

export interface PlotOrder {
  /** Where the picture goes. */
  readonly output: string;
  readonly reveal: boolean;
  /** Of SRTP, that a person gave. */
  readonly keys: readonly CryptoAttribute[];
}

/** The streams worth a panel, and what is said of the others; the first `PANELS_MAX` of those with keys or audio. */
export function plottedStreams(streams: readonly StreamPresses[]): {
  readonly chosen: readonly StreamPresses[];
  readonly note: string | null;
} {
  const worthy = streams.filter(({ presses, hasAudio }) => hasAudio || presses.length > 0);
  const chosen = worthy.slice(0, PANELS_MAX);
  const left = worthy.length - chosen.length;
  return { chosen, note: left > 0 ? `${left} more streams are not drawn: choose one by --stream` : null };
}

/** Reads a capture a second time, now that it is known how long each stream is. */
export function plotCapture(
  file: string,
  chunks: Iterable<Uint8Array>,
  streams: readonly StreamPresses[],
  order: PlotOrder,
): void {
  const { chosen, note } = plottedStreams(streams);
  const spectrograms = new Map(
    chosen
      .filter(({ hasAudio }) => hasAudio)
      .map((one) => [one.stream, new Spectrogram(spanMs(one), columnsFor(spanMs(one)), SAMPLE_RATE)]),
  );
  let decoder: CaptureDecoder | null = null;
  for (const chunk of chunks) {
    decoder ??= new CaptureDecoder(
      chunk,
      (stream) => {
        const spectrogram = spectrograms.get(stream);
        return spectrogram === undefined ? null : { samples: (at, samples) => spectrogram.push(at, samples) };
      },
      order.keys,
    );
    if (!decoder.push(chunk)) break;
  }
  decoder?.finish();
  const panels = chosen.map((one) => panelOf(file, one, spectrograms.get(one.stream) ?? null, order.reveal));
  write(file, panels, order, note === null ? [] : [note]);
}

/** A recording: all its channels together. `progress` gets 0 to 1. */
export function plotWav(
  file: string,
  bytes: Uint8Array,
  stream: StreamPresses,
  order: PlotOrder,
  progress: (done: number) => void,
): void {
  const result = readWav(bytes);
  if (!result.ok) return;
  const { channels, sampleRate } = result.wav;
  const [first] = channels;
  if (first === undefined) return;
  const spectrogram = new Spectrogram(spanMs(stream), columnsFor(spanMs(stream)), sampleRate);
  for (let at = 0; at < first.length; at += WAV_CHUNK_SAMPLES) {
    const count = Math.min(WAV_CHUNK_SAMPLES, first.length - at);
    const mixed = new Int16Array(count);
    for (const channel of channels) {
      for (let index = 0; index < count; index += 1) {
        mixed[index] = (mixed[index] ?? 0) + Math.round((channel[at + index] ?? 0) / channels.length);
      }
    }
    spectrogram.push(at, mixed);
    progress(at / first.length);
  }
  write(file, [panelOf(file, stream, spectrogram, order.reveal)], order);
}

/** Of all that is drawn: a key may be held longer than audio or packets last. */
function spanMs({ paths, durationMs }: StreamPresses): number {
  const presses = [...paths.event, ...paths.inband, ...paths.info];
  return presses.reduce((most, press) => Math.max(most, press.onsetMs + (press.durationMs ?? INFO_MS)), durationMs);
}

function panelOf(file: string, stream: StreamPresses, spectrogram: Spectrogram | null, reveal: boolean): Panel {
  const { paths, durationMs, presses } = stream;
  const plotted = (path: PlottedPress['path'], press: KeyPress): PlottedPress => ({
    path,
    label: digitText(press.event, reveal),
    onsetMs: press.onsetMs,
    durationMs: press.durationMs ?? INFO_MS,
  });
  const all = [
    ...paths.event.map((press) => plotted('event', press)),
    ...paths.inband.map((press) => plotted('inband', press)),
    ...paths.info.map((press) => plotted('info', press)),
  ];
  const ways = [
    `${paths.event.length} by event`,
    `${paths.inband.length} in-band`,
    ...(paths.info.length > 0 ? [`${paths.info.length} by INFO`] : []),
  ];
  return {
    title: `${basename(file)}   ${stream.stream}`,
    subtitle: `${(durationMs / 1000).toFixed(1)} s, keys pressed: ${presses.length} (${ways.join(', ')})`,
    durationMs: spanMs(stream),
    spectrogram,
    presses: all,
    isRevealed: reveal,
  };
}

function write(
  file: string,
  panels: readonly Panel[],
  { output, reveal }: PlotOrder,
  notes: readonly string[] = [],
): void {
  for (const { spectrogram } of panels) spectrogram?.finish();
  const isHidden = !reveal && panels.some(({ spectrogram }) => spectrogram !== null);
  const canvas = drawPicture(panels, isHidden ? [HIDDEN_NOTE, ...notes] : notes);
  writeFileSync(output, encodePng(canvas, { Title: `Keys in ${basename(file)}`, Software: 'hushtone decode' }));
}
