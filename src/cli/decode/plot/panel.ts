import type { PATH_COLOURS } from './colours.ts';
import type { Spectrogram } from './spectrogram.ts';

export type Path = keyof typeof PATH_COLOURS;

export interface PlottedPress {
  readonly path: Path;
  /** What is written over it: the digit, or a dot. */
  readonly label: string;
  readonly onsetMs: number;
  readonly durationMs: number;
}

/** One stream. */
export interface Panel {
  readonly title: string;
  readonly subtitle: string;
  readonly durationMs: number;
  /** Null where the stream has no audio that we can decode. */
  readonly spectrogram: Spectrogram | null;
  readonly presses: readonly PlottedPress[];
  /** Whether the tones may be told apart in the picture. */
  readonly isRevealed: boolean;
}
