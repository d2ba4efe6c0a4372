import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { digitText, type KeyPress } from '../../src/cli/decode/key-press.ts';
import { decodeFile } from '../../src/cli/decode.ts';
import { describeShared } from '../harness/shared.ts';

/* Captures and recordings that others made, with the readings of tshark, spandsp, multimon-ng and an FFT. */

/** Where the truth file is wrong; test/data/README.md has the reasons. */
const CORRECTIONS: Readonly<Record<string, string>> = {
  'peafowl-rtp.pcap 192.168.105.172:4376>192.168.105.110:4376/5711bf84': '6',
};
/** tshark names the first packet's arrival, we the press's timestamp: jitter and packetization lie between. */
const ONSET_MS_MAX = 80;
/** Q.24 lets a receiver read up to 3.5 % off as another key; nearer than this ours must be right. */
const FREQUENCY_ERROR_MAX = 0.018;

interface CaptureTruth {
  readonly capture: string;
  readonly tshark: {
    readonly rtp_streams?: readonly {
      readonly src: string;
      readonly dst: string;
      readonly ssrc: string;
      readonly first_s: number;
      readonly digits?: string;
      readonly telephone_events?: readonly { readonly digit: string | null; readonly start_s: number }[];
    }[];
    readonly g711_inband: readonly {
      readonly src: string;
      readonly dst: string;
      readonly ssrc: string;
      readonly spandsp_digits: string;
      readonly multimon_ng_digits: string;
    }[];
  };
}

interface RecordingTruth {
  readonly digits: string;
  readonly bursts?: readonly {
    readonly digit: string;
    readonly start_s: number;
    readonly seconds: number;
    readonly peak_low_hz: number;
    readonly peak_high_hz: number;
  }[];
}

const ROWS = [697, 770, 852, 941];
const COLUMNS = [1209, 1336, 1477, 1633];
const KEYPAD = ['123A', '456B', '789C', '*0#D'];

function truths<T>(folder: string): [name: string, truth: T][] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.truth.json'))
    .map((name) => [name.replace('.truth.json', ''), JSON.parse(readFileSync(join(folder, name), 'utf8')) as T]);
}

const digitsOf = (presses: readonly KeyPress[]): string =>
  presses.map((press) => digitText(press.event, true)).join('');
const streamKey = (stream: { src: string; dst: string; ssrc: string }): string =>
  `${stream.src}>${stream.dst}/${stream.ssrc.replace('0x', '')}`;

describeShared('decoding captures that others made', 'captures', (folder) => {
  it.each(truths<CaptureTruth>(folder))('%s gives the digits of its truth file, stream by stream', async (_, truth) => {
    const { streams, fault } = decodeFile(join(folder, truth.capture));
    expect(fault).toBeNull();
    const heard = new Map(truth.tshark.g711_inband.map((reading) => [streamKey(reading), reading.spandsp_digits]));
    const expected = new Map<string, string>();
    for (const stream of truth.tshark.rtp_streams ?? []) {
      const key = streamKey(stream);
      const digits = CORRECTIONS[`${truth.capture} ${key}`] ?? stream.digits ?? heard.get(key) ?? '';
      if (digits !== '') expected.set(key, digits);
    }
    const found = streams.filter(({ presses }) => presses.length > 0);
    expect(new Map(found.map(({ stream, presses }) => [stream, digitsOf(presses)]))).toEqual(expected);

    for (const stream of truth.tshark.rtp_streams ?? []) {
      const presses = streams.find((one) => one.stream === streamKey(stream))?.presses ?? [];
      const keys = (stream.telephone_events ?? []).filter((event) => event.digit !== null);
      for (const [index, event] of keys.entries()) {
        const late = (presses[index]?.onsetMs ?? Number.NaN) - (event.start_s - stream.first_s) * 1000;
        expect(Math.abs(late)).toBeLessThan(ONSET_MS_MAX);
      }
    }
  });
});

describeShared('decoding recordings that others made', 'dtmf-audio', (folder) => {
  const all = truths<RecordingTruth>(folder);
  it.each(all.filter(([, truth]) => truth.bursts === undefined))('%s gives its digits', async (name, truth) => {
    const { streams, fault } = decodeFile(join(folder, `${name}.wav`));
    expect(fault).toBeNull();
    expect(digitsOf(streams.flatMap(({ presses }) => presses))).toBe(truth.digits);
  });

  it.each(all.filter(([, truth]) => truth.bursts !== undefined))(
    '%s gives every burst within tolerance',
    async (name, truth) => {
      const { streams } = decodeFile(join(folder, `${name}.wav`));
      const presses = streams.flatMap((stream) => stream.presses);
      for (const burst of truth.bursts ?? []) {
        const row = KEYPAD.findIndex((keys) => keys.includes(burst.digit));
        const errors = [
          burst.peak_low_hz / (ROWS[row] ?? 1) - 1,
          burst.peak_high_hz / (COLUMNS[KEYPAD[row]?.indexOf(burst.digit) ?? 0] ?? 1) - 1,
        ];
        if (errors.some((error) => Math.abs(error) > FREQUENCY_ERROR_MAX)) continue;
        const from = burst.start_s * 1000 - 30;
        const until = (burst.start_s + burst.seconds) * 1000 + 20;
        const heard = presses.filter((press) => press.onsetMs > from && press.onsetMs < until);
        expect([burst.start_s, digitsOf(heard)]).toEqual([burst.start_s, burst.digit]);
      }
    },
  );
});
