// Recorded packets of G.722 and Opus: as many samples as the time line is long, where they belong, whatever was lost.
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "audio/coded_track.h"
#include "check.h"
#include "dtmf/detector.h"

using namespace hushtone;

namespace {

constexpr uint32_t kFirst = 0xffff'ff00;             // Timestamps wrap on the way.
constexpr size_t kToneAt = 4000;
constexpr size_t kToneSamples = 800;

int16_t SampleAt(size_t i) {
  if (i < kToneAt || i >= kToneAt + kToneSamples) return 0;
  const double at = static_cast<double>(i) * 2 * 3.14159265358979 / 8000;
  return static_cast<int16_t>(4000 * (std::sin(770 * at) + std::sin(1336 * at)));
}

// One key after half a second, in packets of `packet_samples`; those that `lost` names do not come.
struct Row {
  const char* what;
  Codec codec;
  size_t packet_samples;
  size_t lost_every;                                  // 0: none.
};

constexpr Row kRows[] = {
    {"G.722, 20 ms", Codec::kG722, 160, 0},       {"G.722, 10 ms", Codec::kG722, 80, 0},
    {"G.722, 30 ms", Codec::kG722, 240, 0},       {"G.722, every seventh lost", Codec::kG722, 160, 7},
    {"Opus, 20 ms", Codec::kOpus, 160, 0},        {"Opus, 10 ms", Codec::kOpus, 80, 0},
    {"Opus, 60 ms", Codec::kOpus, 480, 0},        {"Opus, every seventh lost", Codec::kOpus, 160, 7},
};

void KeepsTheTimeLine(const Row& row) {
  const auto encoder = MakeEncoder(row.codec);
  const auto track = CodedTrack::Create(row.codec);
  CHECK(encoder != nullptr && track != nullptr);
  if (encoder == nullptr || track == nullptr) return;
  std::vector<int16_t> out;
  std::vector<int16_t> frame(row.packet_samples);
  std::array<uint8_t, kEncodedBytesMax> packet;
  size_t end = 0;
  for (size_t index = 0; index * row.packet_samples < 9600; ++index) {
    const size_t at = index * row.packet_samples;
    for (size_t i = 0; i < frame.size(); ++i) frame[i] = SampleAt(at + i);
    const size_t bytes = encoder->Encode(frame, packet.data());
    CHECK(bytes > 0);
    if (row.lost_every > 0 && index % row.lost_every == 3) continue;
    const auto timestamp = static_cast<uint32_t>(kFirst + at * TimestampScale(row.codec));
    CHECK(track->Put(timestamp, std::span(packet.data(), bytes), &out) == row.packet_samples);
    end = at + row.packet_samples;
  }
  track->Restart(&out);
  CHECK(out.size() == end);
  size_t presses = 0;
  DtmfDetector detector;
  detector.Feed(out, [&](const InbandPress& press) {
    if (!press.ended) return;
    ++presses;
    CHECK(press.event == 5);
    // The codecs delay by 0.7 and 6.5 ms, the detector steps by 5.
    CHECK(press.onset_sample + 40 >= kToneAt && press.onset_sample <= kToneAt + 120);
  });
  CHECK(presses == 1);
  if (presses != 1) std::fprintf(stderr, "  %s: %zu presses\n", row.what, presses);
}

// RFC 3389: between noise and the next packet the announced level is heard, and the time line goes on.
void NoiseIsHeardUntilAudioComes() {
  const auto track = CodedTrack::Create(Codec::kG722);
  const std::array<uint8_t, 160> quiet{};
  const std::array<uint8_t, 1> level{40};
  std::vector<int16_t> out;
  CHECK(track->Put(1000, quiet, &out) == 160);
  track->PutNoise(1160, level, &out);
  const size_t before = out.size();
  CHECK(track->Put(1160 + 1600, quiet, &out) == 160);
  track->Restart(&out);
  CHECK(out.size() == 160 + 1600 + 160);
  double energy = 0;
  for (size_t i = before; i < before + 1600; ++i) energy += static_cast<double>(out[i]) * out[i];
  // -40 dBov as RMS: 327.7.
  const double rms = std::sqrt(energy / 1600);
  CHECK(rms > 300 && rms < 355);
}

void RefusesWhatIsNoPacket() {
  const auto track = CodedTrack::Create(Codec::kOpus);
  std::vector<int16_t> out;
  const std::array<uint8_t, 2> damaged{0xff, 0xff};   // Code 3 with 63 frames: longer than 120 ms.
  CHECK(track->Put(0, {}, &out) == 0);
  CHECK(track->Put(0, damaged, &out) == 0);
  CHECK(out.empty());
  CHECK(CodedTrack::Create(Codec::kPcmu) == nullptr);
}

}  // namespace

int main() {
  for (const Row& row : kRows) KeepsTheTimeLine(row);
  NoiseIsHeardUntilAudioComes();
  RefusesWhatIsNoPacket();
  return test::Finish();
}
