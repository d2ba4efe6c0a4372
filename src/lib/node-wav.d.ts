declare module 'node-wav' {
  interface Wav {
    readonly sampleRate: number;
    readonly channelData: readonly Float32Array[];
  }
  const wav: { decode(bytes: ArrayBuffer): Wav };
  export default wav;
}
