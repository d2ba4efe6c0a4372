import type { WirePeerReport, WireQuality, WireRemote, WireStats } from './wire.ts';

/*
 * A leg's figures as the addon gives them (`ReadStats` of native/addon/engine_box.cc), in words and units: the order stands
 * there and here.
 */

/** RFC 3611 §4.7.4 and §4.7.5: not measured. */
const NOT_MEASURED = 127;
/** Fractions come in 1/256, as RTCP has them. */
const ratio = (in256ths: number) => in256ths / 256;

export function readStats(numbers: Float64Array, eventsLost: number): WireStats {
  let index = 0;
  const next = () => numbers[index++] ?? 0;
  const counted = {
    packetsReceived: next(),
    packetsSent: next(),
    packetsLost: next(),
    packetsLate: next(),
    packetsDuplicate: next(),
    packetsFromElsewhere: next(),
    packetsMalformed: next(),
    framesConcealed: next(),
    keysByEvent: next(),
    keysInband: next(),
  };
  // Presses heard a second time: nobody is told of them.
  next();
  const times = { jitterMs: next() / 1000, roundTripMs: next() / 1000 };
  const worker = { eventsLost, ticksLate: next(), ticksSkipped: next() };
  const secure = { packetsUnauthentic: next(), packetsReplayed: next(), packetsUnprotected: next() };
  const playoutDelayMs = next();
  const peer = readPeer(next);
  const quality = readQuality(next);
  const peerQuality = readQuality(next);
  const bursts = { burstDensity: ratio(next()), gapDensity: ratio(next()), burstMs: next(), gapMs: next() };
  const remote = readRemote(next);
  return {
    ...counted,
    ...times,
    ...worker,
    ...secure,
    playoutDelayMs,
    ...(peer === null ? {} : { peer }),
    ...(quality === null ? {} : { quality, bursts }),
    ...(peerQuality === null ? {} : { peerQuality }),
    ...(remote === null ? {} : { remote }),
  };
}

function readPeer(next: () => number): WirePeerReport | null {
  const isKnown = next() === 1;
  const peer = { lossRatio: ratio(next()), packetsLost: next(), jitterMs: next() / 1000 };
  return isKnown ? peer : null;
}

function readQuality(next: () => number): WireQuality | null {
  const isKnown = next() === 1;
  const [lossRatio, discardRatio] = [ratio(next()), ratio(next())];
  const [rFactor, listening, conversation, endSystemDelayMs] = [next(), next(), next(), next()];
  if (!isKnown) return null;
  return {
    lossRatio,
    discardRatio,
    endSystemDelayMs,
    ...(rFactor === NOT_MEASURED ? {} : { rFactor }),
    ...(listening === NOT_MEASURED ? {} : { mosListening: listening / 10 }),
    ...(conversation === NOT_MEASURED ? {} : { mosConversation: conversation / 10 }),
  };
}

/** The address comes as four words of 32 bits; IPv4 is the first of them. */
function readRemote(next: () => number): WireRemote | null {
  const [family, port] = [next(), next()];
  const words = [next(), next(), next(), next()];
  if (family === 4) return { address: octets(words[0] ?? 0).join('.'), port };
  if (family !== 6) return null;
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff]).map((group) => group.toString(16));
  // The shortest way to write it (RFC 5952) is the one of URLs.
  return { address: new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1), port };
}

function octets(word: number): number[] {
  return [word >>> 24, (word >>> 16) & 0xff, (word >>> 8) & 0xff, word & 0xff];
}
