import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { testFiles } from '../data/make.ts';
import { eventsByTshark, infosByTshark, missingEars, spandspEar, tonesByMultimon } from '../harness/other-ears.ts';

/*
 * `hushtone decode` beside readers that are not ours, over the same files: what we make and read ourselves could be
 * wrong on both sides alike.
 */

const ROOT = join(import.meta.dirname, '../..');
const DATA = join(ROOT, 'test/data');
const missing = missingEars();
/** A packet each 20 ms: tshark names the arrival of a press's first packet, we the press's timestamp. */
const ONSET_MS_MAX = 20;
const TEST_MS_MAX = 60_000;

interface Line {
  readonly file: string;
  readonly source: string;
  readonly digit: string;
  readonly onsetMs: number;
  readonly durationMs: number;
}

let lines: readonly Line[] = [];
const oursOf = (name: string) => lines.filter(({ file }) => file === join(DATA, name));
const digitsOf = (name: string) =>
  oursOf(name)
    .map(({ digit }) => digit)
    .join('');
const digitsMade = (name: string) => testFiles().get(name)?.digits;

describe.skipIf(missing.length > 0)(
  `hushtone decode beside others${missing.length > 0 ? ` (not installed: ${missing.join(', ')})` : ''}`,
  () => {
    beforeAll(() => {
      const files = [...testFiles().keys()].map((name) => join(DATA, name));
      const argv = [join(ROOT, 'src/cli/hushtone.js'), 'decode', '--json', '--reveal', ...files];
      const { stdout } = spawnSync(process.execPath, argv, { encoding: 'utf8', cwd: ROOT, timeout: TEST_MS_MAX });
      lines = stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as Line);
    }, TEST_MS_MAX);

    it.each(['events-with-sip.pcap', 'events-alone.pcapng'])(
      'finds the events of %s that tshark finds, when it finds them, as long as it finds them',
      (name) => {
        const theirs = eventsByTshark(join(DATA, name));
        const ours = oursOf(name);
        expect(theirs.map(({ digit }) => digit).join('')).toBe(digitsMade(name));
        expect(ours.map(({ digit, durationMs }) => [digit, durationMs])).toEqual(
          theirs.map(({ digit, durationMs }) => [digit, durationMs]),
        );
        for (const [at, { onsetMs }] of ours.entries()) {
          expect(Math.abs(onsetMs - (theirs[at]?.onsetMs ?? Number.NaN))).toBeLessThanOrEqual(ONSET_MS_MAX);
        }
      },
      TEST_MS_MAX,
    );

    it('finds the INFOs that tshark puts together from TCP', () => {
      expect(infosByTshark(join(DATA, 'info-over-tcp.pcap'))).toBe(digitsMade('info-over-tcp.pcap'));
      expect(digitsOf('info-over-tcp.pcap')).toBe(digitsMade('info-over-tcp.pcap'));
    });

    it(
      'hears the tones that multimon-ng and spandsp hear',
      () => {
        const spandsp = spandspEar();
        for (const name of ['tones-pcmu.pcap', 'tones-pcma.pcapng', 'tones.wav']) {
          const heard = [digitsOf(name), tonesByMultimon(join(DATA, name)), spandsp(join(DATA, name))];
          expect([name, ...heard]).toEqual([name, digitsMade(name), digitsMade(name), digitsMade(name)]);
        }
      },
      TEST_MS_MAX,
    );
  },
);
