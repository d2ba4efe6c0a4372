import { statSync } from 'node:fs';
import { checkServerIdentity, type PeerCertificate, type SecureContextOptions } from 'node:tls';
import type { Clock, Timer } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import { type LoadedTls, loadTlsFiles, outOfTime, type TlsFiles } from '../../lib/tls-files.ts';

/** How often the files are looked at: who renews a certificate need not restart anything. */
const LOOK_EVERY_MS = 60_000;
const DAY_MS = 86_400_000;
const EXPIRES_SOON_MS = 14 * DAY_MS;

/** `clients` is what a peer that connects to SIP over TLS must show; browsers are never asked. */
export interface TlsSettings extends TlsFiles {
  readonly clients: 'none' | 'request' | 'require';
}

/**
 * Who we are on TLS. Changed files are taken up within a minute; where they are no good the last good ones stay, and the
 * log says why. Connections that are open keep what they began with.
 */
export class Credentials {
  readonly settings: TlsSettings;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #renewed = new Set<(options: SecureContextOptions) => void>();
  #loaded: LoadedTls;
  #stamp: string;
  #warnedAt = 0;
  #timer: Timer;

  /** Throws TlsFileFault. */
  constructor(settings: TlsSettings, parts: { readonly clock: Clock; readonly log: Log }) {
    this.settings = settings;
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#loaded = loadTlsFiles(settings);
    // Whoever started us by a configuration has refused it. A restart while it is out of time must not take the other
    // transports with it.
    const late = outOfTime(this.#loaded, settings, parts.clock.now());
    if (late !== null) parts.log.error('TLS certificate is out of its time', { reason: late.message });
    this.#stamp = stampOf(settings);
    this.#warnOfExpiry();
    this.#timer = this.#lookLater();
  }

  /** At least TLS 1.2: RFC 8996 forbids what is older. */
  get options(): SecureContextOptions {
    const { cert, key, ca } = this.#loaded;
    return { cert, key, minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) };
  }

  onRenewed(renewed: (options: SecureContextOptions) => void): void {
    this.#renewed.add(renewed);
  }

  stop(): void {
    this.#timer.cancel();
  }

  #lookLater(): Timer {
    return this.#clock.startTimer(LOOK_EVERY_MS, () => {
      this.#look();
      this.#timer = this.#lookLater();
    });
  }

  #look(): void {
    this.#warnOfExpiry();
    const stamp = stampOf(this.settings);
    if (stamp === this.#stamp) return;
    this.#stamp = stamp;
    try {
      const loaded = loadTlsFiles(this.settings);
      const late = outOfTime(loaded, this.settings, this.#clock.now());
      if (late !== null) throw late;
      this.#loaded = loaded;
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.error('new TLS files are not used, the last ones stay', { reason });
      return;
    }
    this.#log.info('TLS certificate taken up', { file: this.settings.certificate, expires: this.#expires() });
    for (const renewed of this.#renewed) renewed(this.options);
  }

  #warnOfExpiry(): void {
    const now = this.#clock.now();
    if (this.#loaded.expiresAt - now > EXPIRES_SOON_MS || now - this.#warnedAt < DAY_MS) return;
    this.#warnedAt = now;
    this.#log.warn('TLS certificate expires soon', { file: this.settings.certificate, expires: this.#expires() });
  }

  #expires(): string {
    return new Date(this.#loaded.expiresAt).toISOString();
  }
}

/** Changes when a file does. A file that is gone for a moment, as in a renewal, is a change back too. */
function stampOf({ certificate, key, authorities }: TlsFiles): string {
  return [certificate, key, ...(authorities === undefined ? [] : [authorities])]
    .map((file) => {
      try {
        const { mtimeMs, size, ino } = statSync(file);
        return `${mtimeMs}/${size}/${ino}`;
      } catch {
        return 'gone';
      }
    })
    .join(' ');
}

/**
 * Whether the peer is the SIP domain that we asked for: RFC 5922 §7.1, a URI `sip:domain` among its names, otherwise a
 * DNS name or address. Unlike §7.2 wildcards pass, because carriers' certificates have them.
 */
export function checkSipIdentity(domain: string, certificate: PeerCertificate): Error | undefined {
  const names = (certificate.subjectaltname ?? '').split(', ');
  const uris = names.filter((name) => name.startsWith('URI:')).map((name) => name.slice(4).toLowerCase());
  return uris.includes(`sip:${domain.toLowerCase()}`) ? undefined : checkServerIdentity(domain, certificate);
}
