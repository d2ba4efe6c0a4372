import type { GatewayVerb } from '../app/ports.ts';
import type { Sensitive } from '../lib/sensitive.ts';
import type { TlsFiles } from '../lib/tls-files.ts';
import type { Flow } from '../session/flow.ts';

/** `hushtone.yaml` as the parts want it: defaults filled, paths absolute, secrets read and wrapped. */
export interface Config {
  /** The file that was read; null where there was none and the defaults stand. */
  readonly file: string | null;
  /** Database and sockets; made at start. */
  readonly varDir: string;
  readonly sip: SipConfig;
  readonly media: MediaConfig;
  readonly http: HttpConfig;
  readonly store: { readonly file: string; readonly retentionDays: number };
  readonly prompts: { readonly directory: string; readonly overrides: string | null };
  /** The simulator runs as a process of its own where `run` is true: a gateway of kind sandbox has no url. */
  readonly sandbox: { readonly run: boolean; readonly port: number };
  readonly gateways: ReadonlyMap<string, GatewayConfig>;
  readonly flows: ReadonlyMap<string, Flow>;
  readonly worker: WorkerLimits;
  readonly limits: { readonly callsMax: number };
  /** A process without a sign of life for so long is killed and started again; 0: never. */
  readonly hangMs: number;
  /** How long Ctrl-C lets calls go on. */
  readonly drainMs: number;
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error' };
}

export interface SipTls extends TlsFiles {
  readonly port: number;
  readonly wssPort: number;
  readonly clients: 'none' | 'request' | 'require';
}

export interface SipConfig {
  readonly server:
    | {
        readonly kind: 'embedded';
        readonly address: string;
        readonly udpPort: number;
        readonly tcpPort: number;
        readonly wsPort: number;
        readonly tls: SipTls | null;
        /** On 127.0.0.1; 0 takes a free one. */
        readonly adminPort: number;
        /** Random, new at each reading but where HUSHTONE_SIP_SECRET gives it. */
        readonly secret: Sensitive<string>;
      }
    | {
        readonly kind: 'drachtio';
        readonly host: string;
        readonly port: number;
        readonly secret: Sensitive<string>;
      };
  readonly profiles: string;
  readonly secrets: ReadonlyMap<string, Sensitive<string>>;
}

export interface MediaConfig {
  readonly address: string;
  readonly portFirst: number;
  readonly portLast: number;
  /** At least 1. */
  readonly workers: number;
  readonly silenceMs: number;
  readonly jitterMsMax: number;
}

export interface HttpConfig {
  /** With the default address 127.0.0.1, ::1 too where the machine has it. */
  readonly address: string;
  readonly port: number;
  /** Empty: loopback only. */
  readonly keys: readonly Sensitive<string>[];
  readonly bodyBytesMax: number;
  readonly requestsMax: number;
  readonly pageRowsMax: number;
}

export type GatewayConfig =
  | {
      readonly kind: 'sandbox';
      readonly url: string;
      readonly key: Sensitive<string> | null;
      readonly caFile: string | null;
    }
  | {
      readonly kind: 'generic-rest';
      readonly url: string;
      readonly dialect: 'connector' | 'hushtone';
      readonly username: string;
      readonly password: Sensitive<string>;
      readonly caFile: string | null;
      readonly verbs: readonly GatewayVerb[];
    };

/** What a worker reads from the file by itself and holds against control's orders. */
export interface WorkerLimits {
  readonly egress: readonly EgressHost[];
  readonly legsMax: number;
}

export interface EgressHost {
  /** In small letters. */
  readonly host: string;
  readonly port: number;
  readonly tls: boolean;
  readonly caFile: string | null;
  /** Beginnings of paths: the gateway's own. */
  readonly paths: readonly string[];
  /** How bodies that go there are signed; control has no part in it. */
  readonly sign: EgressSign | null;
}

export interface EgressSign {
  readonly header: string;
  readonly kind: 'hmac-sha256' | 'sha256';
  readonly encoding: 'hex' | 'base64';
  /** Null for a digest. */
  readonly secret: Sensitive<string> | null;
  readonly prefix: string;
  readonly suffix: string;
}
