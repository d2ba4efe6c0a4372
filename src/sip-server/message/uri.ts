/** The parts of a SIP URI that routing needs (RFC 3261 §19.1.1). */
export interface SipUri {
  readonly scheme: string;
  readonly user: string;
  /** Without brackets, as written otherwise. */
  readonly host: string;
  readonly port: number | undefined;
  readonly transport: string | undefined;
  readonly maddr: string | undefined;
  /** Loose router (RFC 3261 §16.12). */
  readonly lr: boolean;
}

const HOST = /^[A-Za-z0-9._-]+$/;
const HOST_V6 = /^[0-9A-Fa-f:.]+$/;

/** Undefined where it is no `sip:` or `sips:` URI with a host. */
export function parseSipUri(text: string): SipUri | undefined {
  const colon = text.indexOf(':');
  const scheme = text.slice(0, colon).toLowerCase();
  if (scheme !== 'sip' && scheme !== 'sips') return undefined;
  let rest = text.slice(colon + 1);
  const at = rest.lastIndexOf('@');
  const user = at < 0 ? '' : rest.slice(0, at);
  if (at >= 0) rest = rest.slice(at + 1);
  const question = rest.indexOf('?');
  if (question >= 0) rest = rest.slice(0, question);
  const semicolon = rest.indexOf(';');
  const params = semicolon < 0 ? '' : rest.slice(semicolon).toLowerCase();
  const hostport = parseHostport(semicolon < 0 ? rest : rest.slice(0, semicolon));
  if (hostport === undefined) return undefined;
  return {
    scheme,
    user,
    host: hostport.host,
    port: hostport.port,
    transport: uriParam(params, 'transport'),
    maddr: uriParam(params, 'maddr'),
    lr: uriParam(params, 'lr') !== undefined,
  };
}

function uriParam(params: string, name: string): string | undefined {
  if (params === '') return undefined;
  for (const item of params.slice(1).split(';')) {
    if (item === name) return '';
    if (item.startsWith(`${name}=`)) return item.slice(name.length + 1);
  }
  return undefined;
}

/** `host`, `host:port` or `[v6]:port`. */
export function parseHostport(text: string): { host: string; port: number | undefined } | undefined {
  let host = text;
  let portText: string | undefined;
  if (text.startsWith('[')) {
    const close = text.indexOf(']');
    if (close < 0) return undefined;
    host = text.slice(1, close);
    const rest = text.slice(close + 1);
    if (rest !== '') {
      if (!rest.startsWith(':')) return undefined;
      portText = rest.slice(1);
    }
    if (!HOST_V6.test(host)) return undefined;
  } else {
    const colon = text.indexOf(':');
    if (colon >= 0) {
      host = text.slice(0, colon);
      portText = text.slice(colon + 1);
    }
    if (!HOST.test(host)) return undefined;
  }
  if (portText === undefined) return { host, port: undefined };
  if (!/^\d{1,5}$/.test(portText)) return undefined;
  const port = Number(portText);
  return port > 0 && port < 65_536 ? { host, port } : undefined;
}

export function formatHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host;
}
