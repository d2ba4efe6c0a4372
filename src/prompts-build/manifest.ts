import { createHash } from 'node:crypto';
import { parse, stringify } from 'yaml';

/** Changes with what the builder does to samples, so that everything is made again. */
const BUILDER_VERSION = 1;

export interface ManifestEntry {
  readonly name: string;
  readonly text: string;
  /** What the voice is given where it would misread the text. */
  readonly spoken?: string;
  /** Of text, voice and builder. */
  readonly inputHash: string;
  /** SHA-256 of the file. */
  readonly fileHash: string;
}

/** prompts/LOCALE/manifest.yaml: written by the builder, kept in the repository beside the recordings. */
export interface Manifest {
  readonly locale: string;
  readonly voice: string;
  readonly recordings: readonly ManifestEntry[];
}

export const sha256 = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest('hex');

export function inputHash(voice: string, spoken: string): string {
  return sha256(`${BUILDER_VERSION}\n${voice}\n${spoken}`).slice(0, 16);
}

export function readManifest(text: string): Manifest {
  return parse(text) as Manifest;
}

export function writeManifest(manifest: Manifest): string {
  return `# Made by \`hushtone prompts build\`; the texts stand in src/prompt.\n${stringify(manifest, { lineWidth: 0 })}`;
}
