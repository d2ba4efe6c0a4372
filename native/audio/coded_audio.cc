#include "audio/coded_audio.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/bytes.h"

namespace hushtone {
namespace {

// As in playout_buffer.cc.
constexpr uint32_t kFrame = kFrameSamples;
constexpr uint32_t kTargetStartSamples = 40 * 8;
constexpr uint32_t kSlackSamples = 60 * 8;
constexpr uint32_t kDeepFramesMax = 100;
constexpr uint32_t kLateToGrow = 2;
constexpr uint32_t kLateToRestart = 10;
constexpr uint32_t kHeardLostFrames = 3;              // What follows in a row is silence or the codec's own noise.
constexpr int32_t kFarSamples = 512 * 8;

}  // namespace

std::unique_ptr<CodedAudio> CodedAudio::Create(Codec codec, uint32_t delay_ms_max) {
  auto decoder = MakeDecoder(codec);
  auto encoder = MakeEncoder(codec);
  if (decoder == nullptr || encoder == nullptr) return nullptr;
  return std::unique_ptr<CodedAudio>(new (std::nothrow) CodedAudio(codec, delay_ms_max, std::move(decoder), std::move(encoder)));
}

CodedAudio::CodedAudio(Codec codec, uint32_t delay_ms_max, std::unique_ptr<AudioDecoder> decoder,
                       std::unique_ptr<AudioEncoder> encoder)
    : codec_(codec), scale_(TimestampScale(codec)), decoder_(std::move(decoder)), encoder_(std::move(encoder)),
      target_samples_(kTargetStartSamples), delay_samples_max_(std::min<uint32_t>(delay_ms_max * 8, kFarSamples / 4)) {}

int32_t CodedAudio::SamplesUntil(uint32_t timestamp) const {
  return static_cast<int32_t>(timestamp - decode_at_) / static_cast<int32_t>(scale_);
}

void CodedAudio::Start(uint32_t timestamp) {
  for (Slot& slot : slots_) slot.samples = 0;
  decoder_->Reset();
  playing_ = true;
  spoken_ = false;
  decode_at_ = timestamp - target_samples_ * scale_;
  newest_ = timestamp;
  late_in_a_row_ = deep_frames_ = lost_frames_ = 0;
  skip_ = decoded_count_ = 0;
  noise_.Stop();
}

void CodedAudio::Put(uint32_t timestamp, std::span<const uint8_t> payload) {
  const size_t samples = payload.size() <= kEncodedBytesMax ? decoder_->CountSamples(payload) : 0;
  if (samples == 0) return;
  const int32_t ahead = SamplesUntil(timestamp);
  if (!playing_ || ahead > kFarSamples || ahead < -kFarSamples) {
    if (playing_) ++counters_.restarts;
    Start(timestamp);
  } else if (ahead + static_cast<int32_t>(samples) <= 0) {
    ++counters_.late;
    ++late_in_a_row_;
    if (late_in_a_row_ < kLateToRestart) {
      if (late_in_a_row_ % kLateToGrow == 0 && target_samples_ + kFrame <= delay_samples_max_) {
        // Decoding stands still for one frame, so that the packets that come now are in time.
        target_samples_ += kFrame;
        decode_at_ -= kFrame * scale_;
      }
      return;
    }
    ++counters_.restarts;
    Start(timestamp);
  } else {
    late_in_a_row_ = 0;
  }
  for (const Slot& slot : slots_) {
    if (slot.samples > 0 && slot.timestamp == timestamp) return;   // A repetition.
  }
  Slot* slot = FreeSlot();
  if (slot == nullptr) {                              // More than a buffer's worth ahead: begin again with it.
    ++counters_.restarts;
    Start(timestamp);
    slot = FreeSlot();
  }
  slot->timestamp = timestamp;
  slot->samples = static_cast<uint16_t>(samples);
  slot->bytes = static_cast<uint16_t>(payload.size());
  std::memcpy(slot->payload.data(), payload.data(), payload.size());
  const uint32_t behind = timestamp + static_cast<uint32_t>(samples) * scale_;
  if (IsNewer32(behind, newest_)) newest_ = behind;
}

void CodedAudio::PutNoise(uint32_t timestamp, std::span<const uint8_t> payload) {
  if (playing_) noise_.Hear(timestamp, payload);
}

CodedAudio::Slot* CodedAudio::FreeSlot() {
  for (Slot& slot : slots_) {
    if (slot.samples == 0) return &slot;
  }
  return nullptr;
}

CodedAudio::Slot* CodedAudio::NextSlot() {
  Slot* next = nullptr;
  for (Slot& slot : slots_) {
    if (slot.samples == 0) continue;
    if (SamplesUntil(slot.timestamp) + slot.samples <= 0) {
      slot.samples = 0;
      continue;
    }
    if (next == nullptr || IsNewer32(next->timestamp, slot.timestamp)) next = &slot;
  }
  return next;
}

void CodedAudio::Append(std::span<const int16_t> samples, bool is_made_up) {
  const size_t dropped = std::min(skip_, samples.size());
  skip_ -= dropped;
  std::copy(samples.begin() + static_cast<ptrdiff_t>(dropped), samples.end(),
            decoded_.begin() + static_cast<ptrdiff_t>(decoded_count_));
  std::fill_n(is_made_up_.begin() + static_cast<ptrdiff_t>(decoded_count_), samples.size() - dropped, is_made_up);
  decoded_count_ += samples.size() - dropped;
}

// One packet, or a frame at most in place of one. It is called with less than a frame in `decoded_`.
void CodedAudio::DecodeNext() {
  std::array<int16_t, kDecodedSamplesMax> samples;
  Slot* slot = NextSlot();
  const int32_t until = slot != nullptr ? SamplesUntil(slot->timestamp) : static_cast<int32_t>(kFrameSamples);
  if (slot != nullptr && until <= 0) {
    const auto passed = static_cast<size_t>(-until);  // Decoded for the decoder's sake; its time is over.
    const size_t count = decoder_->Decode(std::span(slot->payload.data(), slot->bytes), samples.data());
    slot->samples = 0;
    if (count > passed) {
      noise_.StopAt(decode_at_);
      spoken_ = true;
      lost_frames_ = 0;
      decode_at_ += static_cast<uint32_t>(count - passed) * scale_;
      Append(std::span(samples.data() + passed, count - passed), false);
      return;
    }
  }
  const size_t count = until > 0 ? std::min(static_cast<size_t>(until), kFrameSamples) : kFrameSamples;
  bool is_made_up = true;
  if (noise_.CoversFrom(decode_at_)) {
    noise_.Fill(samples.data(), count);
    is_made_up = false;
  } else if (!spoken_) {
    std::fill_n(samples.begin(), count, int16_t{0});
  } else {
    const bool is_next = slot != nullptr && until == static_cast<int32_t>(count);
    // The next packet says it again, where its codec does that.
    const auto next = is_next ? std::span<const uint8_t>(slot->payload.data(), slot->bytes) : std::span<const uint8_t>{};
    is_made_up = !decoder_->Conceal(next, count, samples.data());
    if (lost_frames_ < kHeardLostFrames) {
      ++lost_frames_;
      ++counters_.concealed_frames;
    }
  }
  decode_at_ += static_cast<uint32_t>(count) * scale_;
  Append(std::span(samples.data(), count), is_made_up);
}

bool CodedAudio::Take(int16_t* out) {
  made_up_ = 0;
  if (!playing_) {
    std::memset(out, 0, kFrameSamples * sizeof(int16_t));
    return false;
  }
  const int32_t waiting = SamplesUntil(newest_) + static_cast<int32_t>(decoded_count_);
  deep_frames_ = waiting > static_cast<int32_t>(target_samples_ + kSlackSamples) ? deep_frames_ + 1 : 0;
  if (deep_frames_ > kDeepFramesMax) {
    skip_ = kFrameSamples;
    deep_frames_ = 0;
  }
  while (decoded_count_ < kFrameSamples) DecodeNext();
  std::copy_n(decoded_.begin(), kFrameSamples, out);
  constexpr size_t kPart = PlayoutBuffer::kSentSamples;
  for (size_t i = 0; i < kFrameSamples / kPart; ++i) {
    const auto part = is_made_up_.begin() + static_cast<ptrdiff_t>(i * kPart);
    if (std::find(part, part + kPart, true) != part + kPart) made_up_ = static_cast<uint8_t>(made_up_ | 1U << i);
  }
  decoded_count_ -= kFrameSamples;
  std::copy_n(decoded_.begin() + kFrameSamples, decoded_count_, decoded_.begin());
  std::copy_n(is_made_up_.begin() + kFrameSamples, decoded_count_, is_made_up_.begin());
  return true;
}

void CodedAudio::Wipe() {
  for (Slot& slot : slots_) {
    slot.samples = 0;
    slot.payload.fill(0);
  }
  decoded_.fill(0);
  waiting_.fill(0);
  asm volatile("" : : "r"(slots_.data()), "r"(decoded_.data()), "r"(waiting_.data()) : "memory");
  decoder_->Reset();
  encoder_->Reset();
  playing_ = false;
  decoded_count_ = 0;
}

bool CodedAudio::Say(const int16_t* frame, size_t waiting) {
  if (waiting + kFrameSamples > waiting_.size()) return false;
  std::copy_n(frame, kFrameSamples, waiting_.begin() + static_cast<ptrdiff_t>(waiting));
  return true;
}

size_t CodedAudio::Encode(size_t samples, size_t waiting, uint8_t* out) {
  const size_t bytes = encoder_->Encode(std::span(waiting_.data(), samples), out);
  std::copy_n(waiting_.begin() + static_cast<ptrdiff_t>(samples), waiting - samples, waiting_.begin());
  return bytes;
}

}  // namespace hushtone
