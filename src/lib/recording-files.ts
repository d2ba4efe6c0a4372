import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const ENDING = '.wav';

export interface RecordingFolders {
  /** Holds a folder a locale, of recordings by name. */
  readonly directory: string;
  /** An operator's own, laid out the same way; they go first by name. Null: none. */
  readonly overrides: string | null;
}

/** Locales that either folder has, in order. */
export function localesOf(folders: RecordingFolders): string[] {
  const named = foldersOf(folders).flatMap((folder) =>
    readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])),
  );
  return [...new Set(named)].sort();
}

/** Path of every recording of a locale, by name: the operator's own where there is one. */
export function recordingFiles(folders: RecordingFolders, locale: string): Map<string, string> {
  const files = new Map<string, string>();
  for (const folder of foldersOf(folders).map((root) => join(root, locale))) {
    if (!existsSync(folder)) continue;
    for (const file of readdirSync(folder)
      .filter((name) => name.endsWith(ENDING))
      .sort()) {
      files.set(file.slice(0, -ENDING.length), join(folder, file));
    }
  }
  return files;
}

/** The later one wins. */
function foldersOf({ directory, overrides }: RecordingFolders): string[] {
  return overrides === null ? [directory] : [directory, overrides];
}
