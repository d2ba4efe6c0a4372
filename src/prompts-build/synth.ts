import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readWav } from '../lib/wav.ts';
import { SAMPLE_RATE } from './level.ts';

const run = promisify(execFile);
const TOOL_TIMEOUT_MS = 30_000;

/** `flite:slt`, `espeak-ng:en-us`, `festival:kal_diphone`: a tool of Debian's and one of its voices. */
export type VoiceName = string;

/** One sentence as 8 kHz samples, band-limited to 200-3500 Hz. Throws where a tool is missing or fails. */
export async function synthesize(voice: VoiceName, text: string): Promise<Int16Array> {
  const folder = await mkdtemp(join(tmpdir(), 'hushtone-voice-'));
  try {
    const raw = join(folder, 'raw.wav');
    const [tool, name = ''] = voice.split(':');
    if (tool === 'flite') {
      await run('flite', ['-voice', name, '--setf', 'duration_stretch=1.08', '-t', text, '-o', raw], limits());
    } else if (tool === 'espeak-ng') {
      await run('espeak-ng', ['-v', name, '-s', '150', '-w', raw, text], limits());
    } else if (tool === 'festival') {
      const script = `(voice_${name}) (utt.save.wave (utt.synth (Utterance Text ${JSON.stringify(text)})) "${raw}" 'riff)`;
      await run('festival', ['-b', script], limits());
    } else {
      throw new Error(`unknown voice ${voice}; expected flite:…, espeak-ng:… or festival:…`);
    }
    const narrow = join(folder, 'narrow.wav');
    const shape = ['rate', '-v', '-I', String(SAMPLE_RATE), 'sinc', '200-3500'];
    await run('sox', ['-D', raw, '-b', '16', '-c', '1', narrow, 'gain', '-6', ...shape], limits());
    const read = readWav(await readFile(narrow));
    if (!read.ok || read.wav.channels[0] === undefined) throw new Error(`sox made no audio of "${text}"`);
    return read.wav.channels[0];
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error(
      `${(error as NodeJS.ErrnoException).path} is missing: apt-get install flite espeak-ng festival sox`,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const limits = () => ({ timeout: TOOL_TIMEOUT_MS, maxBuffer: 1024 * 1024 });
