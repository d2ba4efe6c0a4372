import { Capture, type CaptureCounts, frameReaderFor, type InfoPress } from '../../pcap/capture.ts';
import type { Frame } from '../../pcap/frame.ts';
import type { CryptoAttribute } from '../../sip/crypto.ts';
import type { KeyPress, StreamPresses } from './key-press.ts';
import { mergePresses } from './merge.ts';
import { StreamDecoder } from './stream-decoder.ts';
import type { AudioSink } from './tone-track.ts';

/** Keys by INFO that are kept until the end of the capture, to be laid beside the streams. */
export const INFOS_MAX = 65_536;
/** Streams of G.722 and Opus that are heard: each keeps a decoder and its packets, 0.2 MB. */
export const CODED_STREAMS_MAX = 512;

export interface CapturePresses {
  readonly streams: readonly StreamPresses[];
  readonly counts: CaptureCounts;
  /** Why reading stopped before the end, or null. */
  readonly fault: string | null;
  /** The file ends within a packet. */
  readonly isCutOff: boolean;
}

/** Takes a capture's bytes as they come; the first chunk has at least four. Never throws on input. */
export class CaptureDecoder {
  readonly #reader;
  readonly #audioFor: (stream: string) => AudioSink | null;
  readonly #keys: readonly CryptoAttribute[];
  readonly #coders = { left: CODED_STREAMS_MAX };
  readonly #decoders = new Map<string, StreamDecoder>();
  readonly #infos: InfoPress[] = [];
  readonly #capture = new Capture({
    stream: (stream, facts) => {
      const tools = { facts, keys: this.#keys, audio: this.#audioFor(stream.name), coders: this.#coders };
      const decoder = this.#decoders.get(stream.name) ?? new StreamDecoder(stream, tools);
      this.#decoders.set(stream.name, decoder);
      return (packet, codec) => decoder.push(packet, codec);
    },
    info: (press) => {
      if (this.#infos.length < INFOS_MAX) this.#infos.push(press);
    },
  });

  readonly #take = (frame: Frame): void => this.#capture.frame(frame);

  /**
   * `audioFor`: who wants to hear what a stream's detector hears. `keys`: of SRTP, beside those that SIP in the capture
   * bears.
   */
  constructor(
    head: Uint8Array,
    audioFor: (stream: string) => AudioSink | null = () => null,
    keys: readonly CryptoAttribute[] = [],
  ) {
    this.#reader = frameReaderFor(head);
    this.#audioFor = audioFor;
    this.#keys = keys;
  }

  /** False where no more is wanted: the file is damaged from here on. */
  push(chunk: Uint8Array): boolean {
    this.#reader?.push(chunk, this.#take);
    return this.#reader?.fault === null;
  }

  finish(): CapturePresses {
    const counts = this.#capture.finish();
    const alone = this.#placeInfos();
    const streams = [...this.#decoders.values()].map((decoder) => decoder.finish());
    const fault = this.#reader === null ? 'is not a packet capture' : this.#reader.fault;
    return { streams: [...streams, ...alone], counts, fault, isCutOff: (this.#reader?.pending ?? 0) > 0 };
  }

  /** An INFO belongs to the audio its sender sends; one without audio in the capture stands alone. */
  #placeInfos(): StreamPresses[] {
    const alone = new Map<string, KeyPress[]>();
    const bySource = new Map<string, StreamDecoder>();
    for (const decoder of this.#decoders.values()) {
      if (!bySource.has(decoder.stream.source)) bySource.set(decoder.stream.source, decoder);
    }
    for (const info of this.#infos) {
      const { event, durationMs, mediaEndpoint } = info;
      const decoder = mediaEndpoint === null ? undefined : bySource.get(mediaEndpoint);
      const onsetMs = Math.max(0, info.atMs - (decoder?.stream.firstAtMs ?? info.callAtMs));
      const press: KeyPress = { source: 'info', event, onsetMs, durationMs, levelDbm0: null };
      const name = `${info.source}>${info.destination}/info`;
      const others = alone.get(name);
      if (decoder !== undefined) decoder.info(press);
      else if (others === undefined) alone.set(name, [press]);
      else others.push(press);
    }
    return [...alone].map(([stream, info]) => ({
      stream,
      presses: mergePresses([], [], info),
      paths: { event: [], inband: [], info },
      durationMs: info.reduce((most, { onsetMs, durationMs }) => Math.max(most, onsetMs + (durationMs ?? 0)), 0),
      hasAudio: false,
      notes: [],
    }));
  }
}
