// G.722 and Opus behind one interface, against encoders and decoders of the rates that a peer uses; their jitter buffer.
#include "audio/coded_audio.h"

#include <opus/opus.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <complex>
#include <numbers>
#include <random>
#include <vector>

// Last, because it gives lrint() another meaning.
#include <spandsp/telephony.h>

#include <spandsp/g722.h>
#undef lrint
#undef lrintf

#include "audio/concealment.h"
#include "check.h"

#if defined(__SANITIZE_ADDRESS__)
// Of sanitizer/allocator_interface.h, which not every g++ brings.
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, size_t), void (*)(const volatile void*));
#endif

using namespace hushtone;

namespace {

constexpr size_t kFrames = 100;
using Samples = std::vector<int16_t>;

Samples Sine(double hz, double rate, size_t count, double amplitude = 8000) {
  Samples samples(count);
  for (size_t i = 0; i < count; ++i) {
    samples[i] = static_cast<int16_t>(std::lrint(amplitude * std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / rate)));
  }
  return samples;
}

// The amplitude of one frequency, of the second half only: codecs need a moment.
double AmplitudeAt(const Samples& samples, double hz, double rate) {
  std::complex<double> sum = 0;
  const size_t first = samples.size() / 2;
  for (size_t i = first; i < samples.size(); ++i) {
    sum += static_cast<double>(samples[i]) * std::polar(1.0, -2 * std::numbers::pi * hz * static_cast<double>(i) / rate);
  }
  return 2 * std::abs(sum) / static_cast<double>(samples.size() - first);
}

double RmsOf(const Samples& samples) {
  double sum = 0;
  for (size_t i = samples.size() / 2; i < samples.size(); ++i) sum += static_cast<double>(samples[i]) * samples[i];
  return std::sqrt(sum / static_cast<double>(samples.size() - samples.size() / 2));
}

double Decibels(double ratio) { return 20 * std::log10(ratio + 1e-9); }

// What a peer's full-rate G.722 encoder makes of 16 kHz, decoded by us.
Samples HearG722(const Samples& wide) {
  g722_encode_state_t* encoder = g722_encode_init(nullptr, 64000, 0);
  std::vector<uint8_t> octets(wide.size() / 2);
  const auto count = static_cast<size_t>(g722_encode(encoder, octets.data(), wide.data(), static_cast<int>(wide.size())));
  g722_encode_free(encoder);
  const auto decoder = MakeDecoder(Codec::kG722);
  Samples heard;
  for (size_t at = 0; at + kFrameSamples <= count; at += kFrameSamples) {
    std::array<int16_t, kDecodedSamplesMax> out;
    const size_t samples = decoder->Decode(std::span(octets.data() + at, kFrameSamples), out.data());
    heard.insert(heard.end(), out.begin(), out.begin() + static_cast<ptrdiff_t>(samples));
  }
  return heard;
}

void G722OfSixteenKilohertzIsHeardAtEight() {
  constexpr size_t kWide = kFrames * 320;
  for (const double hz : {300.0, 697.0, 1000.0, 1633.0, 3000.0}) {
    const Samples heard = HearG722(Sine(hz, 16000, kWide));
    const double level = Decibels(AmplitudeAt(heard, hz, 8000) / 8000);
    CHECK(std::abs(level) < 0.5);
  }
  // What 8 kHz cannot hold is not folded into it: the codec's own filter cuts it off.
  for (const double hz : {5500.0, 6400.0, 7000.0}) {
    const Samples heard = HearG722(Sine(hz, 16000, kWide));
    const double folded = Decibels(AmplitudeAt(heard, 8000 - hz, 8000) / 8000);
    CHECK(folded < -40);
  }
}

void G722OfOursHasNoImageAtSixteenKilohertz() {
  const auto encoder = MakeEncoder(Codec::kG722);
  g722_decode_state_t* decoder = g722_decode_init(nullptr, 64000, 0);
  const Samples narrow = Sine(1000, 8000, kFrames * kFrameSamples);
  Samples heard;
  for (size_t i = 0; i < kFrames; ++i) {
    uint8_t octets[kEncodedBytesMax];
    const size_t bytes = encoder->Encode(std::span(narrow.data() + i * kFrameSamples, kFrameSamples), octets);
    CHECK(bytes == kFrameSamples);
    int16_t wide[2 * kFrameSamples];
    const int count = g722_decode(decoder, wide, octets, static_cast<int>(bytes));
    heard.insert(heard.end(), wide, wide + count);
  }
  g722_decode_free(decoder);
  CHECK(heard.size() == kFrames * 320);
  CHECK(std::abs(Decibels(AmplitudeAt(heard, 1000, 16000) / 8000)) < 0.5);
  CHECK(Decibels(AmplitudeAt(heard, 7000, 16000) / 8000) < -40);
}

std::vector<uint8_t> EncodeOpus(OpusEncoder* encoder, const int16_t* samples, int count) {
  std::vector<uint8_t> packet(kEncodedBytesMax);
  const int bytes = opus_encode(encoder, samples, count, packet.data(), kEncodedBytesMax);
  CHECK(bytes > 0);
  packet.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
  return packet;
}

// 48 kHz, mono or stereo, speech or music mode, 10 to 60 ms in a packet.
void OpusOfAnyKindIsHeardAtEight() {
  struct Row { int channels; int application; int milliseconds; int kbits; };
  constexpr Row kRows[] = {{1, OPUS_APPLICATION_VOIP, 20, 32}, {2, OPUS_APPLICATION_AUDIO, 20, 64}, {1, OPUS_APPLICATION_VOIP, 10, 16},
                           {1, OPUS_APPLICATION_VOIP, 60, 12}, {1, OPUS_APPLICATION_RESTRICTED_LOWDELAY, 20, 48}};
  for (const Row& row : kRows) {
    int error = 0;
    OpusEncoder* encoder = opus_encoder_create(48000, row.channels, row.application, &error);
    CHECK(error == OPUS_OK);
    (void)opus_encoder_ctl(encoder, OPUS_SET_BITRATE(row.kbits * 1000));
    auto audio = CodedAudio::Create(Codec::kOpus, 200);
    const size_t samples = static_cast<size_t>(row.milliseconds) * 48;
    const Samples tone = Sine(1000, 48000, kFrames * samples);
    Samples heard;
    int64_t taken_ms = 0;
    for (size_t i = 0; i < kFrames; ++i) {
      Samples frame;
      for (size_t n = 0; n < samples; ++n) {
        for (int channel = 0; channel < row.channels; ++channel) frame.push_back(tone[i * samples + n]);
      }
      audio->Put(static_cast<uint32_t>(i * samples), EncodeOpus(encoder, frame.data(), static_cast<int>(samples)));
      for (; taken_ms + 20 <= static_cast<int64_t>(i + 1) * row.milliseconds; taken_ms += 20) {
        std::array<int16_t, kFrameSamples> out;
        CHECK(audio->Take(out.data()));
        heard.insert(heard.end(), out.begin(), out.end());
      }
    }
    opus_encoder_destroy(encoder);
    CHECK(std::abs(Decibels(AmplitudeAt(heard, 1000, 8000) / 8000)) < 1.5);
    CHECK(Decibels(RmsOf(heard) / (8000 / std::numbers::sqrt2)) < 1.5);
    CHECK(audio->counters().concealed_frames == 0 && audio->counters().late == 0 && audio->counters().restarts == 0);
  }
}

void WhatWeSendIsWhatWeHear() {
  for (const Codec codec : {Codec::kG722, Codec::kOpus}) {
    for (const size_t milliseconds : {10u, 20u, 40u, 60u}) {
      auto from = CodedAudio::Create(codec, 200);
      auto to = CodedAudio::Create(codec, 200);
      const Samples tone = Sine(1336, 8000, kFrames * kFrameSamples);
      Samples heard;
      size_t waiting = 0;
      uint32_t timestamp = 0;
      for (size_t i = 0; i < kFrames; ++i) {
        CHECK(from->Say(tone.data() + i * kFrameSamples, waiting));
        waiting += kFrameSamples;
        while (waiting >= milliseconds * 8) {
          uint8_t packet[kEncodedBytesMax];
          const size_t bytes = from->Encode(milliseconds * 8, waiting, packet);
          waiting -= milliseconds * 8;
          CHECK(bytes > 0);
          to->Put(timestamp, std::span(packet, bytes));
          timestamp += static_cast<uint32_t>(milliseconds * 8) * TimestampScale(codec);
        }
        std::array<int16_t, kFrameSamples> out;
        if (to->Take(out.data())) heard.insert(heard.end(), out.begin(), out.end());
      }
      CHECK(std::abs(Decibels(AmplitudeAt(heard, 1336, 8000) / 8000)) < 1.5);
    }
  }
}

struct Stream {
  explicit Stream(Codec which) : codec(which), encoder(MakeEncoder(which)), audio(CodedAudio::Create(which, 200)) {}
  std::vector<uint8_t> Packet(uint32_t i) {
    const Samples frame = Sine(400, 8000, kFrameSamples);   // 400 Hz: whole periods in a frame.
    std::vector<uint8_t> packet(kEncodedBytesMax);
    packet.resize(encoder->Encode(frame, packet.data()));
    last = i;
    return packet;
  }
  void Put(uint32_t i, const std::vector<uint8_t>& packet) {
    audio->Put(i * static_cast<uint32_t>(kFrameSamples) * TimestampScale(codec), packet);
  }
  double Take() {
    Samples out(kFrameSamples);
    (void)audio->Take(out.data());
    double sum = 0;
    for (const int16_t sample : out) sum += static_cast<double>(sample) * sample;
    return std::sqrt(sum / kFrameSamples);
  }
  Codec codec;
  std::unique_ptr<AudioEncoder> encoder;
  std::unique_ptr<CodedAudio> audio;
  uint32_t last = 0;
};

constexpr double kRms = 8000 / std::numbers::sqrt2;

void ALostPacketIsConcealedAndLongSilenceIsNot() {
  for (const Codec codec : {Codec::kG722, Codec::kOpus}) {
    Stream stream(codec);
    double quietest = 1e9;
    for (uint32_t i = 0; i < 60; ++i) {
      const auto packet = stream.Packet(i);
      if (i != 30) stream.Put(i, packet);
      const double level = stream.Take();
      if (i >= 2) CHECK(stream.audio->made_up() == (i - 2 == 30 ? 0xf : 0));
      if (i > 20) quietest = std::min(quietest, level);
    }
    CHECK(quietest > kRms / (codec == Codec::kOpus ? 8 : 2));   // libopus fades a lost voice sooner.
    CHECK(stream.audio->counters().concealed_frames == 1);
    double level = 0;
    for (int i = 0; i < 50; ++i) level = stream.Take();
    CHECK(level < kRms / 30);
    CHECK(stream.audio->counters().concealed_frames == 4);
  }
}

// RFC 6716 §2.1.7: a peer's packet may carry the one before it, which then need not be guessed.
void ALostOpusPacketIsTakenFromTheNext() {
  double levels[2];
  for (const int redundancy : {0, 1}) {
    int error = 0;
    OpusEncoder* encoder = opus_encoder_create(8000, 1, OPUS_APPLICATION_VOIP, &error);
    (void)opus_encoder_ctl(encoder, OPUS_SET_BITRATE(24000));
    (void)opus_encoder_ctl(encoder, OPUS_SET_INBAND_FEC(redundancy));
    (void)opus_encoder_ctl(encoder, OPUS_SET_PACKET_LOSS_PERC(20));
    Stream stream(Codec::kOpus);
    double level = 0;
    for (uint32_t i = 0; i < 60; ++i) {
      // The pitch changes with the packet that is lost: nothing before it says to what.
      const Samples frame = Sine(i < 40 ? 400 : 1000, 8000, kFrameSamples);
      const auto packet = EncodeOpus(encoder, frame.data(), kFrameSamples);
      if (i != 40) stream.Put(i, packet);
      Samples heard(kFrameSamples);
      (void)stream.audio->Take(heard.data());
      if (i == 42) level = AmplitudeAt(heard, 1000, 8000);
      // What the peer says again has come; what the decoder goes on with has not.
      if (i >= 2) CHECK(stream.audio->made_up() == (i == 42 && redundancy == 0 ? 0xf : 0));
    }
    opus_encoder_destroy(encoder);
    levels[redundancy] = level;
  }
  CHECK(levels[1] > 8000.0 / 2);
  CHECK(levels[0] < 8000.0 / 8);
}

void ReorderedAndRepeatedPacketsAreDecodedInTheirOrder() {
  for (const Codec codec : {Codec::kG722, Codec::kOpus}) {
    Stream straight(codec);
    Stream crossed(codec);
    for (uint32_t i = 0; i < 60; i += 2) {
      const auto first = straight.Packet(i);
      const auto second = straight.Packet(i + 1);
      straight.Put(i, first);
      straight.Put(i + 1, second);
      if (i == 0) crossed.Put(i, first);
      crossed.Put(i + 1, second);
      crossed.Put(i, first);
      crossed.Put(i, first);
      for (int n = 0; n < 2; ++n) CHECK(straight.Take() == crossed.Take());
    }
    CHECK(crossed.audio->counters().concealed_frames == 0);
  }
}

void GrowsSkipsAndStartsAgain() {
  for (const Codec codec : {Codec::kG722, Codec::kOpus}) {
    Stream late(codec);
    late.Put(0, late.Packet(0));
    uint64_t concealed = 0;
    for (uint32_t now = 1; now < 200; ++now) {
      if (now >= 6) late.Put(now - 5, late.Packet(now - 5));
      (void)late.Take();
      if (now == 100) concealed = late.audio->counters().concealed_frames;
    }
    CHECK(late.audio->delay_ms() > 40 && late.audio->delay_ms() <= 128);
    CHECK(late.audio->counters().concealed_frames == concealed);

    Stream fast(codec);                                // 1 % fast: 20 ms too many each 2 s.
    for (uint32_t now = 0, sent = 0; now < 2000; ++now) {
      for (; sent * 99 <= now * 100; ++sent) fast.Put(sent, fast.Packet(sent));
      (void)fast.Take();
    }
    CHECK(fast.audio->counters().restarts == 0);

    Stream jump(codec);
    for (uint32_t i = 0; i < 20; ++i) {
      jump.Put(i < 10 ? i : i + 100000, jump.Packet(i));
      const double level = jump.Take();
      if (i >= 16) CHECK(level > kRms / 2);
    }
    CHECK(jump.audio->counters().restarts == 1);

    Stream burst(codec);                               // More than the buffer holds.
    for (uint32_t i = 0; i < 100; ++i) burst.Put(i, burst.Packet(i));
    CHECK(burst.audio->counters().restarts > 0);
    (void)burst.Take();
  }
}

void ComfortNoiseFillsAnnouncedSilence() {
  Stream stream(Codec::kG722);
  uint32_t i = 0;
  for (; i < 20; ++i) {
    stream.Put(i, stream.Packet(i));
    (void)stream.Take();
  }
  const uint8_t level[] = {40};
  stream.audio->PutNoise(i * 160, level);
  double heard = 0;
  for (int n = 0; n < 20; ++n) heard = stream.Take();
  CHECK(std::abs(Decibels(heard / 32767) + 40) < 1);
}

void AWipedBufferSaysNothing() {
  for (const Codec codec : {Codec::kG722, Codec::kOpus}) {
    Stream stream(codec);
    for (uint32_t i = 0; i < 20; ++i) {
      stream.Put(i, stream.Packet(i));
      (void)stream.Take();
    }
    stream.audio->Wipe();
    for (int i = 0; i < 4; ++i) CHECK(stream.Take() == 0);
  }
}

void BytesThatAreNoPacketDoNoHarm() {
  std::mt19937 random(5);
  for (const Codec codec : {Codec::kG722, Codec::kOpus}) {
    auto audio = CodedAudio::Create(codec, 200);
    for (uint32_t i = 0; i < 2000; ++i) {
      std::vector<uint8_t> bytes(random() % 1400);
      for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random());
      audio->Put(i * 160 * TimestampScale(codec) + static_cast<uint32_t>(random() % 3), bytes);
      std::array<int16_t, kFrameSamples> out;
      (void)audio->Take(out.data());
    }
    CHECK(audio->delay_ms() <= 200);
  }
  CHECK(MakeDecoder(Codec::kPcmu) == nullptr && MakeEncoder(Codec::kPcma) == nullptr);
  CHECK(CodedAudio::Create(Codec::kPcmu, 200) == nullptr);
}

#if defined(__SANITIZE_ADDRESS__)
std::atomic<uint64_t> taken{0};
void CountTaken(const volatile void*, size_t) { ++taken; }
void CountFreed(const volatile void*) { ++taken; }

// The libraries too: the media thread must not wait for a lock of the allocator.
void TheMediaThreadTakesNoMemory() {
  for (const Codec codec : {Codec::kG722, Codec::kOpus}) {
    Stream stream(codec);
    auto said = CodedAudio::Create(codec, 200);
    std::vector<std::vector<uint8_t>> packets;
    for (uint32_t i = 0; i < 40; ++i) packets.push_back(stream.Packet(i));
    const Samples frame = Sine(700, 8000, kFrameSamples);
    std::array<int16_t, kFrameSamples> out;
    uint8_t packet[kEncodedBytesMax];
    const uint64_t before = taken;
    for (uint32_t i = 0; i < 40; ++i) {
      if (i % 7 != 3) stream.audio->Put(i * 160 * TimestampScale(codec), packets[i]);
      (void)stream.audio->Take(out.data());
      (void)said->Say(frame.data(), 0);
      (void)said->Encode(kFrameSamples, kFrameSamples, packet);
    }
    stream.audio->Wipe();
    CHECK(taken == before);
  }
}
#endif

// A voiced sound of 125 Hz, with harmonics: what is put in must go on where it stopped, and as it was.
void ConcealmentGoesOnAtThePitch() {
  const auto voice = [](size_t n) {
    double sum = 0;
    for (int harmonic = 1; harmonic <= 8; ++harmonic) {
      sum += std::sin(2 * std::numbers::pi * 125 * harmonic * static_cast<double>(n) / 8000) / harmonic;
    }
    return static_cast<int16_t>(4000 * sum);
  };
  Before before;
  for (size_t i = 0; i < before.size(); ++i) before[i] = voice(i);
  const uint32_t pitch = FindPitch(before);
  CHECK(pitch == 64);
  int16_t out[600];
  WriteConcealed(before, pitch, 0, 600, out);
  double error = 0;
  double power = 0;
  for (size_t i = 0; i < 80; ++i) {
    const double truth = voice(before.size() + i);
    error += (out[i] - truth) * (out[i] - truth);
    power += truth * truth;
  }
  CHECK(error < power / 1000);
  CHECK(std::all_of(out + kConcealedMax, out + 600, [](int16_t sample) { return sample == 0; }));
  // In pieces it is the same.
  int16_t pieces[600];
  for (uint32_t at = 0; at < 600; at += 8) WriteConcealed(before, pitch, at, 8, pieces + at);
  CHECK(std::equal(out, out + 600, pieces));
  Before silence{};
  WriteConcealed(silence, FindPitch(silence), 0, 600, out);
  CHECK(std::all_of(out, out + 600, [](int16_t sample) { return sample == 0; }));
  Before loudest;
  loudest.fill(-32768);
  loudest[before.size() - 1] = 32767;
  WriteConcealed(loudest, FindPitch(loudest), 0, 600, out);
}

}  // namespace

int main() {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_install_malloc_and_free_hooks(CountTaken, CountFreed);
  TheMediaThreadTakesNoMemory();
#endif
  G722OfSixteenKilohertzIsHeardAtEight();
  G722OfOursHasNoImageAtSixteenKilohertz();
  OpusOfAnyKindIsHeardAtEight();
  WhatWeSendIsWhatWeHear();
  ALostPacketIsConcealedAndLongSilenceIsNot();
  ALostOpusPacketIsTakenFromTheNext();
  ReorderedAndRepeatedPacketsAreDecodedInTheirOrder();
  GrowsSkipsAndStartsAgain();
  ComfortNoiseFillsAnnouncedSilence();
  AWipedBufferSaysNothing();
  BytesThatAreNoPacketDoNoHarm();
  ConcealmentGoesOnAtThePitch();
  return test::Finish();
}
