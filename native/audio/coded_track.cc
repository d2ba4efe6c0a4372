#include "audio/coded_track.h"

#include <algorithm>
#include <array>

namespace hushtone {
namespace {

// Of the jitter buffer, which nothing is late for here.
constexpr uint32_t kDelayMsMax = 40;

}  // namespace

std::unique_ptr<CodedTrack> CodedTrack::Create(Codec codec) {
  auto audio = CodedAudio::Create(codec, kDelayMsMax);
  auto counter = MakeDecoder(codec);
  if (audio == nullptr || counter == nullptr) return nullptr;
  return std::unique_ptr<CodedTrack>(new CodedTrack(std::move(audio), std::move(counter)));
}

// Timestamps wrap; nothing is further behind the last packet than the owner lets it be.
uint64_t CodedTrack::PlaceOf(uint32_t timestamp) const {
  const auto ahead = static_cast<int32_t>(timestamp - first_timestamp_ - static_cast<uint32_t>(end_) * TimestampScale(codec()));
  const int64_t place = static_cast<int64_t>(end_) + ahead / static_cast<int32_t>(TimestampScale(codec()));
  return place < 0 ? 0 : static_cast<uint64_t>(place);
}

size_t CodedTrack::Put(uint32_t timestamp, std::span<const uint8_t> payload, std::vector<int16_t>* out) {
  const size_t samples = payload.size() <= kEncodedBytesMax ? counter_->CountSamples(payload) : 0;
  if (samples == 0) return 0;
  if (!began_) {
    began_ = true;
    first_timestamp_ = timestamp;
    played_ = end_ = 0;
    lead_ = audio_->delay_ms() * 8;
  }
  const uint64_t place = PlaceOf(timestamp);
  if (place > end_ + kTrackGapSamplesMax) return samples;   // The owner's to prevent; nothing grows by it.
  // What is before this packet was played as far as it came; what is missing is filled with this packet's help.
  audio_->Put(timestamp, payload);
  end_ = std::max(end_, place + samples);
  PlayUntil(end_, out);
  return samples;
}

void CodedTrack::PutNoise(uint32_t timestamp, std::span<const uint8_t> payload, std::vector<int16_t>* out) {
  if (!began_) return;
  const uint64_t place = PlaceOf(timestamp);
  if (place > end_ + kTrackGapSamplesMax) return;
  end_ = std::max(end_, place);
  PlayUntil(end_, out);
  audio_->PutNoise(timestamp, payload);
}

void CodedTrack::PlayUntil(uint64_t place, std::vector<int16_t>* out) {
  while (played_ + kFrameSamples <= place) TakeFrame(out, kFrameSamples);
}

void CodedTrack::TakeFrame(std::vector<int16_t>* out, size_t most) {
  std::array<int16_t, kFrameSamples> frame;
  for (;;) {
    (void)audio_->Take(frame.data());
    if (lead_ == 0) break;
    lead_ -= std::min<uint64_t>(lead_, kFrameSamples);
  }
  out->insert(out->end(), frame.begin(), frame.begin() + static_cast<ptrdiff_t>(most));
  played_ += most;
}

void CodedTrack::Restart(std::vector<int16_t>* out) {
  if (began_ && played_ < end_) TakeFrame(out, static_cast<size_t>(end_ - played_));
  began_ = false;
  audio_->Restart();
}

}  // namespace hushtone
