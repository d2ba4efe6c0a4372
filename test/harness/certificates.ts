import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsFiles } from '../../src/lib/tls-files.ts';

export interface CertificateOptions {
  /** As in `subjectAltName`: `DNS:sip.example.com`, `IP:127.0.0.1`, `URI:sip:example.com`. */
  readonly names: readonly string[];
  /** Not signed by our authority. */
  readonly selfSigned?: boolean;
  /** Date and time as YYYYMMDDHHMMSSZ; a day from now otherwise. */
  readonly notAfter?: string;
}

/** An authority of the tests and what it signs, by openssl, in a folder that `close` removes. */
export class Authority {
  readonly folder = mkdtempSync(join(tmpdir(), 'hushtone-certificates-'));
  readonly file = join(this.folder, 'authority.pem');
  readonly #key = join(this.folder, 'authority.key');
  #count = 0;

  constructor() {
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', this.#key];
    openssl('req', '-x509', ...key, '-out', this.file, '-days', '1', '-subj', '/CN=authority of the tests');
  }

  certificate({ names, selfSigned = false, notAfter }: CertificateOptions): TlsFiles {
    this.#count += 1;
    const at = (ending: string) => join(this.folder, `${this.#count}.${ending}`);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', at('key')];
    openssl('req', '-new', ...key, '-out', at('csr'), '-subj', '/CN=test');
    writeFileSync(at('ext'), `[v3]\nsubjectAltName=${names.join(',')}\n`);
    writeFileSync(at('index'), '');
    writeFileSync(at('serial'), `0${this.#count}`.slice(-2));
    writeFileSync(at('cnf'), caConfig(this.folder, at('index'), at('serial')));
    const by = selfSigned ? ['-selfsign', '-keyfile', at('key')] : ['-cert', this.file, '-keyfile', this.#key];
    const until = notAfter === undefined ? ['-days', '1'] : ['-startdate', '20200101000000Z', '-enddate', notAfter];
    const what = ['-in', at('csr'), '-out', at('pem'), '-extfile', at('ext'), '-extensions', 'v3'];
    openssl('ca', '-batch', '-notext', '-config', at('cnf'), ...by, ...until, ...what);
    return { certificate: at('pem'), key: at('key'), authorities: this.file };
  }

  close(): void {
    rmSync(this.folder, { recursive: true });
  }
}

function caConfig(folder: string, index: string, serial: string): string {
  return [
    '[ca]\ndefault_ca=tests\n[tests]',
    `new_certs_dir=${folder}\ndatabase=${index}\nserial=${serial}\ndefault_md=sha256\npolicy=any\nunique_subject=no`,
    '[any]\ncommonName=supplied\n',
  ].join('\n');
}

function openssl(...argv: string[]): void {
  execFileSync('openssl', argv, { stdio: ['ignore', 'ignore', 'pipe'] });
}
