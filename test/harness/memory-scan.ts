import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/*
 * Counts the places in another process's memory that hold a number, in six encodings. The machine must let us read it:
 * a worker turns dumping off, so this needs CAP_SYS_PTRACE (root).
 */

export interface MemoryHit {
  readonly encoding: string;
  /** Of /proc/PID/maps: a file, [heap], [stack], `anon`; locked regions say `anon (locked)`. */
  readonly region: string;
  readonly count: number;
}

const PAGE_BYTES = 4096;
/** Shorter patterns meet any memory by chance. */
const BYTES_MIN = 6;
const REGION_BYTES_MAX = 1024 * 1024 * 1024;
const BLOCK_BYTES = 8 * 1024 * 1024;
/** Between two blocks, so that nothing is missed at their border. */
const OVERLAP_BYTES = 256;

function encodings(digits: string): ReadonlyArray<readonly [name: string, bytes: Buffer]> {
  const values = [...digits].map(Number);
  const wide = (size: 2 | 4, numbers: readonly number[]) => {
    const bytes = Buffer.alloc(numbers.length * size);
    for (const [i, number] of numbers.entries()) bytes.writeUIntLE(number, i * size, size);
    return bytes;
  };
  const codes = [...Buffer.from(digits)];
  return [
    ['ascii', Buffer.from(digits)],
    ['utf16', wide(2, codes)],
    ['utf32', wide(4, codes)],
    ['bytes', Buffer.from(values)],
    ['int32', wide(4, values)],
    ...(digits.length % 2 === 0 ? [['bcd', Buffer.from(digits, 'hex')] as const] : []),
  ];
}

/** Throws where memory is not readable. With `runMin`, runs of that many digits count too, taken at half steps. */
export function scanMemory(pid: number, digits: string, runMin = digits.length): MemoryHit[] {
  const runs = new Set<string>([digits.slice(-runMin)]);
  for (let i = 0; i + runMin <= digits.length; i += Math.max(1, runMin >> 1)) runs.add(digits.slice(i, i + runMin));
  const patterns = [...runs].flatMap((run) => encodings(run)).filter(([, bytes]) => bytes.length >= BYTES_MIN);
  const hits = new Map<string, MemoryHit>();
  const files = { mem: openSync(`/proc/${pid}/mem`, 'r'), pagemap: openSync(`/proc/${pid}/pagemap`, 'r') };
  const block = Buffer.alloc(BLOCK_BYTES);
  const count = (bytes: Buffer, region: string) => {
    for (const [encoding, pattern] of patterns) {
      const found = countIn(bytes, pattern);
      if (found === 0) continue;
      const key = `${encoding} ${region}`;
      hits.set(key, { encoding, region, count: (hits.get(key)?.count ?? 0) + found });
    }
  };
  try {
    for (const { first, last, name } of readableRegions(pid)) {
      for (const run of residentRuns(files.pagemap, first, last)) {
        for (let at = run.first; at < run.last; at += BLOCK_BYTES - OVERLAP_BYTES) {
          count(block.subarray(0, readAt(files.mem, block, at, Math.min(BLOCK_BYTES, run.last - at))), name);
        }
      }
    }
  } finally {
    closeSync(files.mem);
    closeSync(files.pagemap);
  }
  return [...hits.values()];
}

/** Pages that are in memory (or swapped out), joined; the rest of a mapping was never written and reads as zeros. */
function residentRuns(pagemap: number, first: number, last: number): { first: number; last: number }[] {
  const runs: { first: number; last: number }[] = [];
  const entries = Buffer.alloc(((last - first) / PAGE_BYTES) * 8);
  const size = readAt(pagemap, entries, (first / PAGE_BYTES) * 8, entries.length);
  for (let at = 0; at + 8 <= size; at += 8) {
    // Bit 63: present, bit 62: swapped.
    if ((entries.readUInt8(at + 7) & 0xc0) === 0) continue;
    const page = first + (at / 8) * PAGE_BYTES;
    const run = runs.at(-1);
    if (run !== undefined && run.last === page) run.last = page + PAGE_BYTES;
    else runs.push({ first: page, last: page + PAGE_BYTES });
  }
  return runs;
}

/** May this process read another's memory? Where not, a memory test says so and skips. */
export function canScan(pid: number): boolean {
  try {
    const mem = openSync(`/proc/${pid}/mem`, 'r');
    try {
      const [region] = readableRegions(pid);
      return region !== undefined && readAt(mem, Buffer.alloc(16), region.first, 16) === 16;
    } finally {
      closeSync(mem);
    }
  } catch {
    return false;
  }
}

/**
 * The flags of every mapping that is locked into memory, as two letters each (proc(5), VmFlags): `lo` locked, `dd` not in
 * core dumps, `wf` wiped in children, `dc` not copied to children.
 */
export function lockedMappings(pid: number): ReadonlySet<string>[] {
  const flags = [...readFileSync(`/proc/${pid}/smaps`, 'utf8').matchAll(/^VmFlags: (.*)$/gm)];
  return flags.map(([, words = '']) => new Set(words.trim().split(' '))).filter((words) => words.has('lo'));
}

/** Soft and hard limit of core files, in bytes. */
export function coreLimits(pid: number): readonly string[] {
  const line = /^Max core file size +(\S+) +(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'));
  return line === null ? [] : line.slice(1);
}

function readableRegions(pid: number): { first: number; last: number; name: string }[] {
  // smaps lists each region's header line and its flags; "lo" is locked.
  const regions: { first: number; last: number; name: string }[] = [];
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    const header = /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$/.exec(line);
    const [, first = '', last = '', mode = '', file = ''] = header ?? [];
    if (header !== null) {
      const [from, to] = [Number.parseInt(first, 16), Number.parseInt(last, 16)];
      const isReadable = mode.includes('r') && !/^\[(vvar|vsyscall|vdso|vvar_vclock)\]$/.test(file);
      const name = isReadable && to - from <= REGION_BYTES_MAX ? file || 'anon' : '';
      regions.push({ first: from, last: to, name });
    } else if (line.startsWith('VmFlags:') && / lo( |$)/.test(line)) {
      const region = regions.at(-1);
      if (region !== undefined && region.name !== '') region.name += ' (locked)';
    }
  }
  return regions.filter((region) => region.name !== '');
}

function readAt(file: number, block: Buffer, at: number, size: number): number {
  try {
    return readSync(file, block, 0, size, at);
  } catch {
    return 0;
  }
}

function countIn(bytes: Buffer, pattern: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(pattern); at >= 0; at = bytes.indexOf(pattern, at + 1)) count += 1;
  return count;
}
