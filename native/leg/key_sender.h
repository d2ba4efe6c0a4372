// Keys that control orders to be sent: one after the other as telephone-events, or as tones of a stated level and twist in
// place of the audio. For IVRs behind us and for tests.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numbers>

#include "audio/playout_buffer.h"
#include "rtp/event_sender.h"

namespace hushtone {

constexpr size_t kSendKeysMax = 32;
constexpr uint32_t kSendKeyMsMin = 20;
constexpr uint32_t kSendKeyMsMax = 60000;
// Two tones of -3 dBm0 are just not clipped.
constexpr float kSendLevelDbm0Max = -3;
constexpr float kSendLevelDbm0Min = -40;

enum class KeyMode : uint8_t { kEvent = 0, kInband = 1 };

struct KeysToSend {
  std::array<uint8_t, kSendKeysMax> events{};         // RFC 4733 event codes, 0 to 15.
  uint8_t count = 0;
  KeyMode mode = KeyMode::kEvent;
  float level_dbm0 = -10;                             // Of each tone where there is no twist, otherwise their mean in dB.
  float twist_db = 0;                                 // How much louder the column (high) tone is than the row's.
  uint16_t duration_ms = 100;
  uint16_t gap_ms = 100;                              // From the end of one key to the beginning of the next.
};

inline bool AreSendable(const KeysToSend& keys) {
  if (keys.count == 0 || keys.count > kSendKeysMax) return false;
  for (size_t i = 0; i < keys.count; ++i) {
    if (keys.events[i] > kEventKeyLast) return false;
  }
  const float louder = keys.level_dbm0 + std::abs(keys.twist_db) / 2;
  const float softer = keys.level_dbm0 - std::abs(keys.twist_db) / 2;
  return louder <= kSendLevelDbm0Max && softer >= kSendLevelDbm0Min && keys.duration_ms >= kSendKeyMsMin &&
         keys.duration_ms <= kSendKeyMsMax && keys.gap_ms >= kSendKeyMsMin && keys.gap_ms <= kSendKeyMsMax;
}

class KeySender {
 public:
  void Start(const KeysToSend& keys) {
    keys_ = keys;
    at_ = 0;
    sample_ = 0;
    event_wait_ms_ = 0;
  }
  void Forget() { keys_ = KeysToSend{}; }
  bool IsOn() const { return keys_.count > 0; }
  KeyMode mode() const { return keys_.mode; }

  // Tones: the next 20 ms, written over `frame`. True once, when the last key's gap has passed.
  bool WriteTones(int16_t* frame) {
    const uint32_t on = uint32_t{keys_.duration_ms} * 8;
    const uint32_t all = on + uint32_t{keys_.gap_ms} * 8;
    for (size_t i = 0; i < kFrameSamples; ++i) {
      frame[i] = 0;
      if (at_ == keys_.count) continue;
      if (sample_ == 0) Tune(keys_.events[at_]);
      if (sample_ < on) frame[i] = static_cast<int16_t>(std::lrint((row_.Next() + column_.Next()) * Edge(sample_, on)));
      if (++sample_ < all) continue;
      sample_ = 0;
      ++at_;
    }
    return EndAtLast();
  }

  // Events: begins the next key where its time has come. True once, when the last one's gap has passed.
  bool StepEvents(EventSender* sender, uint32_t frame_ts) {
    const uint32_t ts_per_ms = frame_ts / kFrameMs;
    if (sender->IsActive()) return false;             // The key that is on, with its last packet three times.
    if (event_wait_ms_ > 0) {
      event_wait_ms_ -= std::min(event_wait_ms_, kFrameMs);
      return false;
    }
    if (at_ == keys_.count) return EndAtLast();
    const auto volume = static_cast<uint8_t>(std::lrint(-keys_.level_dbm0));
    (void)sender->Begin(keys_.events[at_++], volume, keys_.duration_ms * ts_per_ms);
    // The repetitions of the last packet are a part of the gap.
    event_wait_ms_ = keys_.gap_ms > kRepeatsMs ? keys_.gap_ms - kRepeatsMs : 0;
    return false;
  }

 private:
  static constexpr uint32_t kFrameMs = 20;
  static constexpr uint32_t kRepeatsMs = 40;
  static constexpr uint32_t kEdgeSamples = 8;         // 1 ms of rise and fall: no click.
  // ITU-T Q.23.
  static constexpr std::array<double, 4> kRowHz{697, 770, 852, 941};
  static constexpr std::array<double, 4> kColumnHz{1209, 1336, 1477, 1633};

  // A sine by the recurrence x[n] = 2 cos(w) x[n-1] - x[n-2]; in double, so that a minute of it stays as loud.
  struct Sine {
    double previous = 0, before = 0, twice_cos = 0;
    void Set(double hz, double amplitude) {
      const double w = 2 * std::numbers::pi * hz / 8000;
      twice_cos = 2 * std::cos(w);
      previous = -amplitude * std::sin(w);
      before = -amplitude * std::sin(2 * w);
    }
    double Next() {
      const double now = twice_cos * previous - before;
      before = previous;
      previous = now;
      return now;
    }
  };

  static double AmplitudeOf(double level_dbm0) {
    constexpr double kFullScale = 32124;              // A sine of +3.17 dBm0, g711.h.
    constexpr double kFullScaleDbm0 = 3.17;
    return kFullScale * std::pow(10, (level_dbm0 - kFullScaleDbm0) / 20);
  }

  static double Edge(uint32_t sample, uint32_t on) {
    const uint32_t near = sample < on - sample - 1 ? sample : on - sample - 1;
    return near >= kEdgeSamples ? 1 : static_cast<double>(near + 1) / (kEdgeSamples + 1);
  }

  void Tune(uint8_t event) {
    // Where the key stands on the keypad: RFC 4733 event codes are the digits, then star, hash, A to D.
    static constexpr std::array<uint8_t, 16> kRow{3, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 0, 1, 2, 3};
    static constexpr std::array<uint8_t, 16> kColumn{1, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 2, 3, 3, 3, 3};
    row_.Set(kRowHz[kRow[event]], AmplitudeOf(keys_.level_dbm0 - keys_.twist_db / 2));
    column_.Set(kColumnHz[kColumn[event]], AmplitudeOf(keys_.level_dbm0 + keys_.twist_db / 2));
  }

  bool EndAtLast() {
    if (at_ < keys_.count) return false;
    Forget();
    return true;
  }

  KeysToSend keys_{};
  size_t at_ = 0;                                     // The key that is on or comes next.
  uint32_t sample_ = 0;                               // Of its duration and gap.
  uint32_t event_wait_ms_ = 0;
  Sine row_, column_;
};

}  // namespace hushtone
