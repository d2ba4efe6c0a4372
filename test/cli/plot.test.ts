import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crc32, inflateSync } from 'node:zlib';
import { afterAll, describe, expect, it, vi } from 'vitest';
import { digitText } from '../../src/cli/decode/key-press.ts';
import { Canvas } from '../../src/cli/decode/plot/canvas.ts';
import { glyph } from '../../src/cli/decode/plot/font.ts';
import type { Panel } from '../../src/cli/decode/plot/panel.ts';
import { drawPicture } from '../../src/cli/decode/plot/picture.ts';
import { encodePng, type Pixels } from '../../src/cli/decode/plot/png.ts';
import { LINES_HZ, yOf } from '../../src/cli/decode/plot/sound.ts';
import { PLOTTED_HZ, Spectrogram } from '../../src/cli/decode/plot/spectrogram.ts';
import { decodeCommand } from '../../src/cli/decode.ts';
import { audioPackets, CALLER, eventPackets, keyedAudio, REVERSED } from '../data/calls.ts';
import { pcapFile } from '../data/packets.ts';

const DATA = join(import.meta.dirname, '../data');
const folder = mkdtempSync(join(tmpdir(), 'hushtone-plot-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** A PNG as a viewer reads it: every chunk's check, then the rows, each filtered by the one above. */
function readPng(file: Buffer): { pixels: Pixels; texts: string[] } {
  expect(file.subarray(0, 8).toString('hex')).toBe('89504e470d0a1a0a');
  const [data, texts]: [Buffer[], string[]] = [[], []];
  let [width, height] = [0, 0];
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    const body = file.subarray(at + 8, at + 8 + length);
    expect(file.readUInt32BE(at + 8 + length)).toBe(crc32(file.subarray(at + 4, at + 8 + length)));
    if (type === 'IHDR') [width, height] = [body.readUInt32BE(0), body.readUInt32BE(4)];
    if (type === 'IDAT') data.push(body);
    if (type === 'tEXt') texts.push(body.toString('latin1').replace('\0', '='));
    at += 12 + length;
  }
  const filtered = inflateSync(Buffer.concat(data));
  const row = width * 3;
  const bytes = new Uint8Array(height * row);
  for (let y = 0; y < height; y += 1) {
    expect(filtered[y * (row + 1)]).toBe(2);
    for (let x = 0; x < row; x += 1) {
      const above = y === 0 ? 0 : (bytes[(y - 1) * row + x] ?? 0);
      bytes[y * row + x] = ((filtered[y * (row + 1) + 1 + x] ?? 0) + above) & 0xff;
    }
  }
  return { pixels: { width, height, bytes }, texts };
}

const colourAt = ({ width, bytes }: Pixels, x: number, y: number): string =>
  bytes.subarray((y * width + x) * 3, (y * width + x) * 3 + 3).join();

/** Where the sound of a one-panel picture stands: see picture.ts. */
const SOUND = { x: 104, y: 14 + 48 + 2 * 44, width: 960, height: 480 };

async function decode(...argv: string[]): Promise<{ stderr: string; status: number }> {
  const written: string[] = [];
  const out = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
  const err = vi.spyOn(process.stderr, 'write').mockImplementation((text) => written.push(String(text)) > 0);
  try {
    const status = await decodeCommand(argv);
    return { stderr: written.join(''), status };
  } finally {
    out.mockRestore();
    err.mockRestore();
  }
}

async function picture(file: string, ...options: string[]): Promise<ReturnType<typeof readPng>> {
  const output = join(folder, 'out.png');
  expect(await decode('--plot', output, ...options, file)).toEqual({ stderr: '', status: 0 });
  return readPng(readFileSync(output));
}

/** In one column of the sound: how many colours there are between two frequencies, the faint lines apart. */
function coloursIn(pixels: Pixels, column: number, fromHz: number, toHz: number): number {
  const lines = new Set(LINES_HZ.map((hertz) => yOf(hertz, SOUND.height)));
  const seen = new Set<string>();
  for (let y = yOf(toHz, SOUND.height); y <= yOf(fromHz, SOUND.height); y += 1) {
    if (!lines.has(y)) seen.add(colourAt(pixels, SOUND.x + column, SOUND.y + y));
  }
  return seen.size;
}

describe('the spectrogram', () => {
  const sine = (hertz: number, levelDbm0: number, rate: number): Int16Array =>
    Int16Array.from({ length: rate }, (_, index) =>
      Math.round(22_303 * 10 ** (levelDbm0 / 20) * Math.sin((2 * Math.PI * hertz * index) / rate)),
    );

  it.each([8_000, 16_000, 44_100, 48_000])('shows a tone at its frequency and level, at %i Hz', (rate) => {
    for (const columns of [50, 960]) {
      const spectrogram = new Spectrogram(1000, columns, rate);
      spectrogram.push(0, sine(941, -10, rate));
      spectrogram.finish();
      const middle = columns / 2;
      expect(Math.abs((spectrogram.levelDbm0(middle, 941) ?? 0) + 10)).toBeLessThan(0.5);
      expect(spectrogram.levelDbm0(middle, 1209) ?? 0).toBeLessThan(-40);
      expect(spectrogram.loudestDbm0(middle, 0, PLOTTED_HZ)).toBeCloseTo(-10, 0);
    }
  });

  it('keeps a short tone in a long call, and leaves empty what had no audio', () => {
    const spectrogram = new Spectrogram(600_000, 100, 8_000);
    const call = new Int16Array(8_000 * 300);
    call.set(sine(1336, -15, 8_000).subarray(0, 400), 8_000 * 123);
    spectrogram.push(0, call);
    spectrogram.finish();
    expect(spectrogram.levelDbm0(Math.floor(123 / 6), 1336) ?? 0).toBeGreaterThan(-17);
    expect(spectrogram.levelDbm0(40, 1336) ?? 0).toBeLessThan(-60);
    expect(spectrogram.levelDbm0(60, 1336)).toBeNull();
  });
});

describe('letters', () => {
  it('has every printable ASCII character and the dot that hides a digit, each different', () => {
    const letters = [...Array(95).keys()].map((code) => String.fromCharCode(code + 32)).concat('•');
    const drawn = letters.map((letter) => glyph(letter).join('\n'));
    expect(new Set(drawn).size).toBe(letters.length);
    for (const letter of letters) {
      expect(glyph(letter).length).toBeLessThanOrEqual(9);
      for (const row of glyph(letter)) expect(row).toMatch(/^[ #]{0,5}$/);
    }
    expect(glyph('ü')).toEqual(glyph('漢'));
  });
});

describe('a PNG', () => {
  it('holds the pixels that were drawn', () => {
    const canvas = new Canvas(7, 3, [1, 2, 3]);
    canvas.fill(5, 1, 9, 9, [250, 0, 128]);
    canvas.point(0, 0, [255, 255, 255], 0.5);
    const { pixels, texts } = readPng(encodePng(canvas, { Title: 'x' }));
    expect(pixels).toEqual({ width: 7, height: 3, bytes: canvas.bytes });
    expect([colourAt(pixels, 0, 0), colourAt(pixels, 6, 2), colourAt(pixels, 4, 2)]).toEqual([
      '128,129,129',
      '250,0,128',
      '1,2,3',
    ]);
    expect(texts).toEqual(['Title=x']);
  });
});

describe('hushtone decode --plot', () => {
  const file = join(DATA, 'tones-pcmu.pcap');
  /** Columns in the middle of the twelve presses: one each 160 ms from 200 ms, of 2,300 ms. */
  const columns = Array.from({ length: 12 }, (_, press) => Math.round(((240 + press * 160) / 2300) * SOUND.width));

  it('shows the two tones of each key where they are revealed', async () => {
    const { pixels, texts } = await picture(file, '--reveal');
    expect(texts).toEqual(['Title=Keys in tones-pcmu.pcap', 'Software=hushtone decode']);
    for (const column of columns) expect(coloursIn(pixels, column, 600, 1750)).toBeGreaterThan(5);
    // Key 1 is the first: bright at 697 and 1209 Hz, dark between.
    const [first] = columns;
    const brightness = (hertz: number) =>
      colourAt(pixels, SOUND.x + (first ?? 0), SOUND.y + yOf(hertz, SOUND.height) + 2)
        .split(',')
        .reduce((sum, one) => sum + Number(one), 0);
    expect(brightness(697)).toBeGreaterThan(2 * brightness(1050));
    expect(brightness(1209)).toBeGreaterThan(2 * brightness(1050));
  });

  it('shows that a key sounded and not which, where they are hidden: one colour from 0 to 4 kHz', async () => {
    const { pixels } = await picture(file);
    for (const column of columns) expect(coloursIn(pixels, column, 0, PLOTTED_HZ)).toBe(1);
  });

  it('never tells tones apart between 600 and 1750 Hz where digits are hidden, key found or not', async () => {
    // Twenty milliseconds are no press, and yet a person could read the tones.
    const short = join(folder, 'short.pcap');
    writeFileSync(short, pcapFile(audioPackets(keyedAudio('4242424242424242', { onMs: 20, offMs: 80 }), 'PCMU')));
    const { pixels } = await picture(short);
    for (let column = 0; column < SOUND.width; column += 1) {
      expect(coloursIn(pixels, column, 605, 1745)).toBe(1);
    }
    const revealed = (await picture(short, '--reveal')).pixels;
    const seen = Array.from({ length: SOUND.width }, (_, column) => coloursIn(revealed, column, 605, 1745));
    expect(seen.filter((count) => count > 5).length).toBeGreaterThan(100);
  });

  it('writes the same lanes whatever was keyed, where digits are hidden', () => {
    const panelOf = (digits: string, reveal: boolean): Panel => ({
      title: 'a call',
      subtitle: '',
      durationMs: 4000,
      spectrogram: null,
      isRevealed: reveal,
      presses: [...digits].map((digit, index) => ({
        path: index % 2 === 0 ? 'event' : 'inband',
        label: digitText(Number(digit), reveal),
        onsetMs: index * 200,
        durationMs: 100,
      })),
    });
    const drawn = (digits: string, reveal: boolean) => drawPicture([panelOf(digits, reveal)], []).bytes;
    expect(drawn('4242', false)).toEqual(drawn('1111', false));
    expect(drawn('4242', true)).not.toEqual(drawn('1111', true));
  });

  it('draws a panel for each stream, or for the one that was asked for', async () => {
    const both = join(folder, 'both.pcap');
    const packets = [...audioPackets(keyedAudio('12'), 'PCMU'), ...eventPackets('34', 101, REVERSED(CALLER))];
    writeFileSync(both, pcapFile(packets.sort((a, b) => a.atMs - b.atMs)));
    const two = (await picture(both)).pixels.height;
    const one = (await picture(both, '--stream', '198.51.100.5:20000>')).pixels.height;
    expect(two).toBeGreaterThan(1.8 * one);
  });

  it('draws recordings too', async () => {
    const { pixels } = await picture(join(DATA, 'tones.wav'), '--reveal');
    expect(coloursIn(pixels, Math.round((240 / 1200) * SOUND.width), 600, 1750)).toBeGreaterThan(5);
  });

  it('says in one line what it cannot do', async () => {
    const output = join(folder, 'never.png');
    expect(await decode('--plot', output, file, file)).toEqual({
      stderr: 'hushtone decode: --plot draws one file\n',
      status: 2,
    });
    expect(await decode('--plot', join(folder, 'absent/out.png'), file)).toMatchObject({ status: 2 });
    expect((await decode('--plot', folder, file)).stderr).toBe(
      `${file}: no picture was written to ${folder}: is a directory\n`,
    );
    expect((await decode('--stream', 'nobody', file)).stderr).toBe(
      `${file}: has no stream that contains "nobody"; it has 192.0.2.10:40000>198.51.100.5:20000/0badcafe\n`,
    );
  });
});
