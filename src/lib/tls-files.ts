import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Paths of files in PEM. */
export interface TlsFiles {
  /** Ours, with those that lead to its root behind it. */
  readonly certificate: string;
  readonly key: string;
  /** Whom we believe; without it those that Node brings. */
  readonly authorities?: string;
}

export interface LoadedTls {
  readonly cert: string;
  readonly key: string;
  readonly ca: string | undefined;
  readonly validFrom: number;
  readonly expiresAt: number;
}

/** `message` names the file and says what is wrong with it, in one line. */
export class TlsFileFault extends Error {
  readonly which: keyof TlsFiles;

  constructor(which: keyof TlsFiles, message: string) {
    super(message);
    this.which = which;
  }
}

/** Throws TlsFileFault where a file is not there, no PEM, or the key is another's. */
export function loadTlsFiles(files: TlsFiles): LoadedTls {
  const cert = read('certificate', files.certificate);
  const key = read('key', files.key);
  const ca = files.authorities === undefined ? undefined : read('authorities', files.authorities);
  const own = certificateIn('certificate', files.certificate, cert);
  if (ca !== undefined) certificateIn('authorities', files.authorities ?? '', ca);
  if (!isKeyOf(own, key, files.key)) {
    throw new TlsFileFault('key', `${files.key} is not the key of the certificate in ${files.certificate}`);
  }
  return { cert, key, ca, validFrom: Date.parse(own.validFrom), expiresAt: Date.parse(own.validTo) };
}

/** What is wrong with the certificate at this time; null where it is within its own. */
export function outOfTime(
  { validFrom, expiresAt }: LoadedTls,
  { certificate }: TlsFiles,
  now: number,
): TlsFileFault | null {
  if (expiresAt <= now) return new TlsFileFault('certificate', `${certificate} expired on ${day(expiresAt)}`);
  if (validFrom > now) return new TlsFileFault('certificate', `${certificate} is valid from ${day(validFrom)} on`);
  return null;
}

function read(which: keyof TlsFiles, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new TlsFileFault(which, `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
}

function certificateIn(which: keyof TlsFiles, file: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch {
    throw new TlsFileFault(which, `${file} holds no certificate in PEM`);
  }
}

function isKeyOf(certificate: X509Certificate, pem: string, file: string): boolean {
  try {
    return certificate.checkPrivateKey(createPrivateKey(pem));
  } catch {
    throw new TlsFileFault('key', `${file} holds no private key in PEM without a passphrase`);
  }
}

const day = (time: number): string => new Date(time).toISOString().slice(0, 10);
