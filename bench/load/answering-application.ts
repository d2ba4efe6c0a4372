import Srf from 'drachtio-srf';

/*
 * The least that an application on drachtio-srf can do: it answers every call with fixed SDP and lets the caller hang up.
 * Arguments: port and secret of the SIP server's application side.
 */

const SDP = [
  'v=0',
  'o=- 1 1 IN IP4 127.0.0.1',
  's=-',
  'c=IN IP4 127.0.0.1',
  't=0 0',
  'm=audio 9 RTP/AVP 0',
  'a=rtpmap:0 PCMU/8000',
  '',
].join('\r\n');

const [port, secret = ''] = process.argv.slice(2);
const srf = new Srf();
srf.on('error', () => process.exit(1));
srf.on('connect', () => process.send?.('connected'));
srf.use('invite', (req, res) => {
  srf.createUAS(req, res, { localSdp: SDP, headers: {} }, (error, dialog) => {
    if (!error) dialog?.on('destroy', () => {});
  });
});
void srf.connect({ host: '127.0.0.1', port: Number(port), secret });
process.on('SIGTERM', () => process.exit(0));
