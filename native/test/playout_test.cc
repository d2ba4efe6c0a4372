// The jitter buffer against what networks do: loss, reorder, repetition, jitter, clocks that differ.
#include "audio/playout_buffer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "check.h"

using namespace hushtone;

namespace {

using Frame = std::array<int16_t, kFrameSamples>;

// A packet whose codes say which one it is: never 0xff, which is silence, and never the same as the next.
uint8_t CodeOf(uint32_t packet) { return static_cast<uint8_t>(1 + packet % 100); }
void Put(PlayoutBuffer& buffer, uint32_t packet, uint32_t start = 0, uint32_t samples = 160) {
  buffer.Put(start + packet * samples, std::vector<uint8_t>(samples, CodeOf(packet)), Law::kMu);
}
bool IsPacket(const Frame& frame, uint32_t packet) {
  const int16_t sample = DecodeSample(Law::kMu, CodeOf(packet));
  return std::all_of(frame.begin(), frame.end(), [&](int16_t value) { return value == sample; });
}

void PlaysWhatCameTwoFramesLater() {
  for (const uint32_t start : {0u, 12345u, 0xffffff00u}) {   // Any first timestamp, and across the wrap.
    PlayoutBuffer buffer;
    Frame frame;
    CHECK(!buffer.Take(frame.data()));
    for (uint32_t i = 0; i < 50; ++i) {
      Put(buffer, i, start);
      CHECK(buffer.Take(frame.data()));
      if (i >= 2) CHECK(IsPacket(frame, i - 2));
    }
    CHECK(buffer.counters().concealed_frames == 0 && buffer.counters().late == 0 && buffer.counters().restarts == 0);
  }
}

void PlaysEveryPacketTime() {
  for (const uint32_t milliseconds : {10u, 20u, 30u, 40u, 60u}) {
    PlayoutBuffer buffer;
    Frame frame;
    uint32_t sent = 0;
    const uint32_t samples = milliseconds * 8;
    for (uint32_t now = 0; now < 3000; now += 10) {
      if (now % milliseconds == 0) Put(buffer, sent++, 0, samples);
      if (now % 20 == 0) (void)buffer.Take(frame.data());
    }
    CHECK(buffer.counters().concealed_frames == 0);
    CHECK(buffer.counters().late == 0);
  }
}

void PutsReorderedAndRepeatedPacketsInPlace() {
  PlayoutBuffer buffer;
  Frame frame;
  for (uint32_t i = 0; i < 40; i += 2) {
    if (i > 0) Put(buffer, i + 1);
    Put(buffer, i);
    Put(buffer, i);
    (void)buffer.Take(frame.data());
    if (i >= 4) CHECK(IsPacket(frame, i - 2));
    if (i == 0) Put(buffer, 1);
    (void)buffer.Take(frame.data());
    if (i >= 4) CHECK(IsPacket(frame, i - 1));
  }
  CHECK(buffer.counters().concealed_frames == 0);
  CHECK(buffer.counters().restarts == 0);
}

// Which of a frame's 5 ms did not come, and what was sent where something else is played.
void TellsWhatDidNotCome() {
  PlayoutBuffer buffer;
  Frame frame;
  for (uint32_t i = 0; i < 20; ++i) {
    if (i != 12) Put(buffer, i);
    (void)buffer.Take(frame.data());
    const uint32_t played = i - 2;
    if (i < 2) continue;
    CHECK(buffer.made_up() == (played == 12 ? 0xf : 0));
    CHECK(buffer.is_altered() == (played == 12 || played == 13));
    CHECK(IsPacket(frame, played) != buffer.is_altered());
    for (uint32_t part = 0; part < 4 && played != 12; ++part) {
      std::array<int16_t, PlayoutBuffer::kSentSamples> sent;
      buffer.ReadSent(part, sent.data());
      CHECK(std::all_of(sent.begin(), sent.end(), [&](int16_t value) { return value == DecodeSample(Law::kMu, CodeOf(played)); }));
    }
  }
  // Of a frame of packets of 10 ms the second did not come.
  PlayoutBuffer halves;
  for (uint32_t i = 0; i < 40; ++i) {
    if (i != 25) Put(halves, i, 0, 80);
    if (i % 2 == 0) continue;
    (void)halves.Take(frame.data());
    CHECK(i < 5 || halves.made_up() == (i / 2 - 2 == 12 ? 0xc : 0));
  }
  // Silence that was announced was heard.
  PlayoutBuffer quiet;
  for (uint32_t i = 0; i < 20; ++i) {
    if (i < 10) Put(quiet, i);
    if (i == 10) quiet.PutNoise(10 * 160, std::vector<uint8_t>{40});
    (void)quiet.Take(frame.data());
    CHECK(i < 2 || quiet.made_up() == 0);
  }
}

// A lost packet is what was before it again, from 10 ms on quieter, from 60 ms on silence.
void ConcealsWhatIsLost() {
  PlayoutBuffer buffer;
  Frame frame;
  std::vector<int16_t> heard;
  for (uint32_t i = 0; i < 20; ++i) {
    if (i < 8 || i > 13) Put(buffer, i);
    (void)buffer.Take(frame.data());
    heard.push_back(frame[80]);
  }
  const int full = std::abs(DecodeSample(Law::kMu, CodeOf(7)));
  CHECK(std::abs(heard[9]) == full);                         // Packet 7.
  CHECK(std::abs(heard[10]) == full);                        // Its repetition.
  CHECK(std::abs(heard[11]) < full && std::abs(heard[11]) > full / 2);
  CHECK(std::abs(heard[12]) < full / 2 && std::abs(heard[12]) > 0);
  CHECK(heard[13] == 0 && heard[14] == 0 && heard[15] == 0);
  CHECK(heard[16] == DecodeSample(Law::kMu, CodeOf(14)));
  CHECK(buffer.counters().concealed_frames == 3);            // What is heard as such; silence is not counted as well.
}

// Packets that keep coming 100 ms late are heard after the buffer has grown, and the growth has its limit.
void GrowsWithJitter() {
  PlayoutBuffer buffer(200);
  Frame frame;
  Put(buffer, 0);
  uint32_t concealed_before = 0;
  for (uint32_t now = 1; now < 200; ++now) {
    if (now >= 6) Put(buffer, now - 5);
    (void)buffer.Take(frame.data());
    if (now == 100) concealed_before = static_cast<uint32_t>(buffer.counters().concealed_frames);
  }
  CHECK(buffer.delay_ms() > 40 && buffer.delay_ms() <= 128);
  CHECK(buffer.counters().concealed_frames == concealed_before);
  CHECK(buffer.counters().late >= 2);

  std::mt19937 random(7);
  PlayoutBuffer wild(100);
  for (uint32_t i = 0; i < 2000; ++i) {
    const auto back = static_cast<uint32_t>(random() % 30);
    if (random() % 4 != 0) Put(wild, i > back ? i - back : i);
    (void)wild.Take(frame.data());
    CHECK(wild.delay_ms() <= 100);
  }
}

// A peer whose clock is 0.1 % fast fills the buffer; it must be skipped, not grow for good.
void SkipsForAFasterPeer() {
  PlayoutBuffer buffer;
  Frame frame;
  uint32_t sent = 0;
  uint32_t lag = 0;
  for (uint32_t now_us = 0; now_us < 400'000'000; now_us += 20000) {
    while (uint64_t{sent} * 19980 <= now_us) Put(buffer, sent++);
    (void)buffer.Take(frame.data());
    uint32_t behind = 0;
    while (behind < 20 && !IsPacket(frame, sent - 1 - behind)) ++behind;
    if (behind < 20) lag = std::max(lag, behind);
  }
  CHECK(lag <= 6);                                            // 40 ms of target, 60 of slack and one under way.
  CHECK(buffer.counters().restarts == 0);
}

// A slower peer runs the buffer dry; it is heard on, with a concealed frame now and then.
void HearsASlowerPeer() {
  PlayoutBuffer buffer;
  Frame frame;
  uint32_t sent = 0;
  uint32_t silent = 0;
  for (uint32_t now_us = 0; now_us < 400'000'000; now_us += 20000) {
    while (uint64_t{sent} * 20020 <= now_us) Put(buffer, sent++);
    (void)buffer.Take(frame.data());
    silent += frame[0] == 0 && frame[80] == 0 ? 1u : 0u;
  }
  CHECK(silent <= 100);                                       // Of 20,000.
  CHECK(buffer.counters().late <= 200);
}

void StartsAgainWhereTimestampsJump() {
  PlayoutBuffer buffer;
  Frame frame;
  for (uint32_t i = 0; i < 10; ++i) {
    Put(buffer, i);
    (void)buffer.Take(frame.data());
  }
  for (uint32_t i = 10; i < 20; ++i) {
    Put(buffer, i, 3'000'000);
    (void)buffer.Take(frame.data());
    if (i >= 13) CHECK(IsPacket(frame, i - 2));
  }
  CHECK(buffer.counters().restarts == 1);
}

// A sender that stops its timestamps while it is silent is heard again soon after it speaks.
void HearsASenderWhoseTimestampsStoodStill() {
  PlayoutBuffer buffer;
  Frame frame;
  for (uint32_t i = 0; i < 10; ++i) {
    Put(buffer, i);
    (void)buffer.Take(frame.data());
  }
  for (int i = 0; i < 100; ++i) (void)buffer.Take(frame.data());
  uint32_t heard_after = 0;
  for (uint32_t i = 10; i < 60 && heard_after == 0; ++i) {
    Put(buffer, i);
    (void)buffer.Take(frame.data());
    if (frame[0] != 0) heard_after = i - 9;
  }
  CHECK(heard_after > 0 && heard_after <= 15);
}

// RFC 3389: behind the announcement noise of that level, until audio comes; then a loss is a loss again.
void PlaysAnnouncedSilenceAsNoise() {
  PlayoutBuffer buffer;
  Frame frame;
  for (uint32_t i = 0; i < 10; ++i) {
    Put(buffer, i);
    (void)buffer.Take(frame.data());
  }
  const uint8_t level[] = {30, 1, 2};
  buffer.PutNoise(10 * 160, level);
  (void)buffer.Take(frame.data());
  CHECK(IsPacket(frame, 8));
  (void)buffer.Take(frame.data());
  CHECK(IsPacket(frame, 9));
  double sum = 0;
  for (uint32_t i = 0; i < 50; ++i) {
    (void)buffer.Take(frame.data());
    for (const int16_t sample : frame) sum += static_cast<double>(sample) * sample;
  }
  const double level_dbov = 10 * std::log10(sum / (50 * 160) / (32767.0 * 32767.0));
  CHECK(level_dbov > -30.5 && level_dbov < -29.5);
  CHECK(buffer.counters().concealed_frames == 0);
  for (uint32_t i = 62; i < 90; ++i) {
    if (i != 70) Put(buffer, i);
    (void)buffer.Take(frame.data());
  }
  CHECK(buffer.counters().concealed_frames == 1);
  buffer.PutNoise(0, {});
}

// A hum of 160 Hz: what is put in goes on in step, so that no sample jumps.
void ConcealsWithoutAStep() {
  const auto hum = [](uint32_t n) { return static_cast<int16_t>(8000 * std::sin(2 * 3.14159265358979 * 160 * n / 8000)); };
  PlayoutBuffer buffer;
  int16_t before = 0;
  int worst = 0;
  double quietest = 1e18;
  for (uint32_t i = 0; i < 60; ++i) {
    std::vector<uint8_t> codes(160);
    for (uint32_t n = 0; n < 160; ++n) codes[n] = EncodeSample(Law::kMu, hum(i * 160 + n));
    if (i % 10 != 5) buffer.Put(i * 160, codes, Law::kMu);
    Frame frame;
    (void)buffer.Take(frame.data());
    double energy = 0;
    for (const int16_t sample : frame) {
      if (i > 3) worst = std::max(worst, std::abs(sample - before));
      before = sample;
      energy += static_cast<double>(sample) * sample;
    }
    if (i > 3) quietest = std::min(quietest, energy / 160);
  }
  CHECK(buffer.counters().concealed_frames == 6);
  CHECK(worst < 1500);                                        // The hum's own steepest step is 1,005, and µ-law is coarse.
  CHECK(quietest > 8000.0 * 8000.0 / 2 * 0.7);
}

void AWipedBufferSaysNothing() {
  PlayoutBuffer buffer;
  Frame frame;
  for (uint32_t i = 0; i < 10; ++i) {
    Put(buffer, i);
    (void)buffer.Take(frame.data());
  }
  buffer.Wipe();
  for (int i = 0; i < 4; ++i) {
    (void)buffer.Take(frame.data());
    CHECK(std::all_of(frame.begin(), frame.end(), [](int16_t value) { return value == 0; }));
  }
}

// Packets of odd lengths share milliseconds; no sample of them is lost and none is half a second old.
void JoinsPacketsOfOddLengths() {
  PlayoutBuffer buffer;
  Frame frame;
  std::mt19937 random(3);
  uint32_t sent = 777;
  uint32_t taken = 0;
  while (taken < 3000) {
    while (sent < 777 + (taken + 1) * 160) {
      const auto count = static_cast<uint32_t>(80 + random() % 100);
      buffer.Put(sent, std::vector<uint8_t>(count, 0x20), Law::kMu);
      sent += count;
    }
    (void)buffer.Take(frame.data());
    ++taken;
    const bool is_tone = std::all_of(frame.begin(), frame.end(), [](int16_t value) { return value == DecodeSample(Law::kMu, 0x20); });
    const bool is_silent = std::all_of(frame.begin(), frame.end(), [](int16_t value) { return value == 0; });
    CHECK(taken <= 2 ? is_silent : is_tone);
  }
}

void RefusesPacketsThatFillHalfTheRing() {
  PlayoutBuffer buffer;
  Frame frame;
  buffer.Put(0, {}, Law::kMu);
  buffer.Put(0, std::vector<uint8_t>(4000, 1), Law::kMu);
  CHECK(!buffer.Take(frame.data()));
}

}  // namespace

int main() {
  PlaysWhatCameTwoFramesLater();
  PlaysEveryPacketTime();
  PutsReorderedAndRepeatedPacketsInPlace();
  TellsWhatDidNotCome();
  ConcealsWhatIsLost();
  GrowsWithJitter();
  SkipsForAFasterPeer();
  HearsASlowerPeer();
  StartsAgainWhereTimestampsJump();
  HearsASenderWhoseTimestampsStoodStill();
  PlaysAnnouncedSilenceAsNoise();
  ConcealsWithoutAStep();
  AWipedBufferSaysNothing();
  JoinsPacketsOfOddLengths();
  RefusesPacketsThatFillHalfTheRing();
  return test::Finish();
}
