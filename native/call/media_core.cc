#include "call/media_core.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace hushtone {
namespace {

void WipeBytes(std::span<uint8_t> bytes) {
  std::fill(bytes.begin(), bytes.end(), uint8_t{0});
  asm volatile("" : : "r"(bytes.data()) : "memory");
}

}  // namespace

bool Command::AddRoute(uint16_t from, uint16_t to, bool through_mask) {
  const auto place = [this](uint16_t index) {
    uint8_t at = 0;
    while (at < count && ears[at].leg != index) ++at;
    if (at < count || at == ears.size()) return at;
    ears[at].leg = index;
    ++count;
    return at;
  };
  const uint8_t talker = place(from);
  const uint8_t listener = place(to);
  if (talker == ears.size() || listener == ears.size()) return false;
  ears[listener].hears |= 1U << talker;
  if (through_mask) ears[listener].masked |= 1U << talker;
  return true;
}

int32_t RecordingTable::Add(std::unique_ptr<int16_t[]> samples, size_t count) {
  const int32_t index = count_.load(std::memory_order_relaxed);
  if (index >= static_cast<int32_t>(kRecordingsMax)) return -1;
  const auto at = static_cast<size_t>(index);
  items_[at] = Recording(samples.get(), count);
  owned_[at] = std::move(samples);
  count_.store(index + 1, std::memory_order_release);
  return index;
}

Recording RecordingTable::At(int32_t index) const {
  if (index < 0 || index >= count_.load(std::memory_order_acquire)) return Recording{};
  return items_[static_cast<size_t>(index)];
}

MediaCore::MediaCore(const EngineLimits& limits, std::unique_ptr<Vault> vault, const RecordingTable& recordings,
                     SpscRing<EngineEvent>& events, ProveMask prove_mask)
    : limits_(limits), masks_(limits.masks_max), prove_mask_(prove_mask), vault_(std::move(vault)), recordings_(recordings), events_(events),
      legs_(std::make_unique<LegSlot[]>(kLegsMax)), calls_(std::make_unique<Call[]>(kCallsMax)) {}

MediaCore::~MediaCore() = default;

void MediaCore::Emit(EventKind kind, const LegSlot* slot, uint8_t code, uint32_t request, uint8_t field,
                     const FieldFacts* facts, uint32_t value_ms) {
  EngineEvent event;
  event.kind = static_cast<uint16_t>(kind);
  event.code = code;
  event.field = field;
  event.leg = slot != nullptr ? slot->handle : 0;
  event.request = request;
  event.value_ms = value_ms;
  if (facts != nullptr) event.facts = *facts;
  if (!events_.Push(event)) events_lost_.fetch_add(1, std::memory_order_relaxed);
}

// ------------------------------------------------------------------------------------------------- commands

void MediaCore::Execute(Command& command, PacketSink& sink) {
  LegSlot* slot = Find(command);
  const LegHandle handle = command.handle;
  EngineFault fault = EngineFault::kNoLeg;
  const bool needs_leg = command.kind != Command::Kind::kOpenLeg && command.kind != Command::Kind::kSetRoutes &&
                         command.kind != Command::Kind::kSetVoice && command.kind != Command::Kind::kSetToday;
  if (!needs_leg || slot != nullptr) {
    fault = Do(command, slot, sink);
  } else if (command.kind == Command::Kind::kCopyFields) {
    command.done(command.job, false);
  }
  if (command.coded != nullptr) sink.Retired(std::unique_ptr<CodedAudio>(std::exchange(command.coded, nullptr)));
  if (command.request == 0) return;
  if (command.kind == Command::Kind::kCloseField && fault == EngineFault::kNone) return;  // Answered with the facts.
  EngineEvent answer;
  answer.kind = static_cast<uint16_t>(EventKind::kAnswer);
  answer.code = static_cast<uint8_t>(fault);
  answer.leg = handle;
  answer.request = command.request;
  if (!events_.Push(answer)) events_lost_.fetch_add(1, std::memory_order_relaxed);
}

MediaCore::LegSlot* MediaCore::Find(const Command& command) {
  if (command.leg >= kLegsMax) return nullptr;
  LegSlot& slot = legs_[command.leg];
  return slot.leg != nullptr && slot.handle == command.handle ? &slot : nullptr;
}

EngineFault MediaCore::Do(Command& command, LegSlot* slot, PacketSink& sink) {
  switch (command.kind) {
    case Command::Kind::kOpenLeg:
      return OpenLeg(command);
    case Command::Kind::kUpdateLeg: {
      std::unique_ptr<CodedAudio> coded(std::exchange(command.coded, nullptr));
      coded = slot->leg->SetMedia(command.media, std::move(coded));
      if (coded != nullptr) sink.Retired(std::move(coded));
      slot->leg->SetSrtp(command.srtp_sender, command.srtp_receiver);
      const bool is_odd = command.media.ptime_ms != kTickMs;
      if (is_odd != slot->has_odd_ptime) odd_legs_ += is_odd ? 1 : size_t(-1);
      slot->has_odd_ptime = is_odd;
      return EngineFault::kNone;
    }
    case Command::Kind::kCloseLeg:
      CloseLeg(command.leg, sink);
      return EngineFault::kNone;
    case Command::Kind::kSetRoutes:
      return SetRoutes(command);
    case Command::Kind::kPlay:
      return Play(command, *slot);
    case Command::Kind::kStopPlay:
      StopPlaying(*slot, 2);
      return EngineFault::kNone;
    case Command::Kind::kBeginPayment:
      if (slot->payment != 0) return EngineFault::kBadArgument;
      slot->payment = vault_->Begin();
      EndRelayedKeys(*slot);   // A key that is down now was for the others; from here on nothing is.
      if (slot->key_from != kNoPlace) slot->leg->EndKey();   // Nor is another's for him.
      slot->key_from = kNoPlace;
      return slot->payment == 0 ? EngineFault::kVaultFull : EngineFault::kNone;
    case Command::Kind::kEndPayment:
      if (slot->payment == 0) return EngineFault::kNone;
      vault_->End(slot->payment);
      slot->payment = 0;
      slot->keys_open = false;
      slot->leg->Wipe();
      if (slot->mask != nullptr) slot->mask->line.WipeMarked();
      return EngineFault::kNone;
    case Command::Kind::kArmMask:
      return ArmMask(command, *slot);
    case Command::Kind::kDisarmMask:
      return DisarmMask(*slot);
    case Command::Kind::kOpenField:
      return OpenField(command, *slot);
    case Command::Kind::kCloseField: {
      if (slot->payment == 0) return EngineFault::kNoPayment;
      const FieldFacts facts = vault_->CloseField(slot->payment);
      Emit(EventKind::kFieldClosed, slot, 0, command.request, 0, &facts);
      return EngineFault::kNone;
    }
    case Command::Kind::kWipeField:
      if (slot->payment == 0) return EngineFault::kNoPayment;
      vault_->WipeField(slot->payment, command.field);
      return EngineFault::kNone;
    case Command::Kind::kOpenKeys:
      // What waits may be card digits keyed too soon: it must not become an answer that control reads.
      if (slot->payment != 0) vault_->WipeTypeAhead(slot->payment);
      EndRelayedKeys(*slot);   // Its end would be this collection's.
      slot->keys_open = true;
      slot->keys_allowed = command.allowed_events;
      slot->keys_left = command.length_max;
      return EngineFault::kNone;
    case Command::Kind::kCloseKeys:
      slot->keys_open = false;
      return EngineFault::kNone;
    case Command::Kind::kReadBack:
      return ReadBack(command, *slot);
    case Command::Kind::kSendKeys:
      return SendKeys(command, *slot);
    case Command::Kind::kCopyFields: {
      const bool found = slot->payment != 0 && vault_->CopyFields(slot->payment, command.fields);
      command.done(command.job, found);
      return EngineFault::kNone;
    }
    case Command::Kind::kSetVoice:
      if (command.locale >= kLocalesMax) return EngineFault::kLimit;
      voices_[command.locale] = *command.voice;
      has_voice_[command.locale] = true;
      return EngineFault::kNone;
    case Command::Kind::kSetToday:
      vault_->SetToday(command.year, command.month);
      return EngineFault::kNone;
  }
  return EngineFault::kBadArgument;
}

EngineFault MediaCore::OpenLeg(const Command& command) {
  Call& call = calls_[command.call];
  if (call.count >= kLegsPerCallMax) return EngineFault::kLimit;   // The control thread counts too; not reached.
  LegSlot& slot = legs_[command.leg];
  slot = LegSlot{};
  slot.leg = command.opened;
  slot.handle = command.handle;
  slot.call = command.call;
  slot.place = call.count++;
  slot.has_odd_ptime = command.media.ptime_ms != kTickMs;
  if (slot.has_odd_ptime) ++odd_legs_;
  uint16_t* end = &call.first;
  while (*end != kNoIndex) end = &legs_[*end].next;
  *end = command.leg;
  calls_used_ = std::max<size_t>(calls_used_, size_t{command.call} + 1);
  legs_used_ = std::max<size_t>(legs_used_, size_t{command.leg} + 1);
  return EngineFault::kNone;
}

void MediaCore::CloseLeg(uint16_t index, PacketSink& sink) {
  LegSlot& slot = legs_[index];
  StopPlaying(slot, 2);
  EndRelayedKeys(slot);
  if (slot.payment != 0) vault_->End(slot.payment);
  GiveMaskBack(slot);
  uint8_t bye[kRtcpBytesMax];
  if (const size_t length = slot.leg->Bye(bye); length > 0) {
    Endpoint to = slot.leg->destination();
    ++to.port;
    sink.SendRtcp(index, std::span(bye, length), to);
  }
  slot.leg->Wipe();
  slot.player.Forget();
  if (slot.has_odd_ptime) --odd_legs_;

  // The last leg of the call takes the place of the one that leaves, in the matrix too.
  Call& call = calls_[slot.call];
  const uint8_t gone = slot.place;
  const auto last = static_cast<uint8_t>(call.count - 1);
  const auto moved = [gone, last](uint32_t row) {
    const uint32_t rest = row & ~(1U << last) & ~(1U << gone);
    return gone != last && (row >> last & 1) != 0 ? rest | 1U << gone : rest;
  };
  uint16_t* link = &call.first;
  while (*link != index) link = &legs_[*link].next;
  *link = slot.next;
  EachLeg(call, [&](LegSlot& other) {
    if ((other.heard >> gone & 1) != 0) other.tail += LastHeard(other, slot);
    other.hears = moved(other.hears);
    other.masked = moved(other.masked);
    other.heard = moved(other.heard);
    if (other.key_from == last) other.key_from = gone;
    if (other.place == last) other.place = gone;
  });
  call.count = last;

  slot = LegSlot{};
  sink.Closed(index);
}

EngineFault MediaCore::SetRoutes(const Command& command) {
  std::array<uint8_t, kLegsPerCallMax> place;          // In the call, of each leg that the command names.
  std::array<uint32_t, kLegsPerCallMax> hears{}, masked{};   // By place.
  for (uint8_t i = 0; i < command.count; ++i) {
    const LegSlot& slot = legs_[command.ears[i].leg];
    place[i] = slot.leg != nullptr && slot.call == command.call ? slot.place : kNoPlace;
  }
  for (uint8_t i = 0; i < command.count; ++i) {
    if (place[i] == kNoPlace) continue;
    for (uint32_t rest = command.ears[i].hears; rest != 0; rest &= rest - 1) {
      const auto from = static_cast<uint8_t>(std::countr_zero(rest));
      if (place[from] == kNoPlace) continue;
      hears[place[i]] |= 1U << place[from];
      if ((command.ears[i].masked >> from & 1) != 0) masked[place[i]] |= 1U << place[from];
    }
  }
  const Call& call = calls_[command.call];
  EachLeg(call, [&](LegSlot& to) {
    // From one side of a mask to the other the voice jumps by what the mask delays: one ends, the other begins.
    const uint32_t crossed = to.heard & hears[to.place] & (to.masked ^ masked[to.place]);
    EachLeg(call, [&](const LegSlot& from) {
      const uint32_t bit = 1U << from.place;
      if ((crossed & bit) == 0 || !IsMaskHeard(from)) return;
      to.tail += LastHeard(to, from);
      to.heard &= ~bit;
    });
    to.hears = hears[to.place];
    to.masked = masked[to.place];
    if (to.key_from != kNoPlace && (to.hears >> to.key_from & 1) == 0) {
      to.leg->EndKey();
      to.key_from = kNoPlace;
    }
  });
  return EngineFault::kNone;
}

EngineFault MediaCore::Play(const Command& command, LegSlot& slot) {
  std::array<Recording, kPlayListMax> list;
  for (uint8_t i = 0; i < command.count; ++i) list[i] = recordings_.At(command.recordings[i]);
  StartPlaying(slot, command.request, std::span(list.data(), command.count), command.flag, command.loops);
  return EngineFault::kNone;
}

void MediaCore::StartPlaying(LegSlot& slot, uint32_t request, std::span<const Recording> list, bool barge_in, bool loops) {
  StopPlaying(slot, 2);
  if (slot.has_played) slot.tail += slot.player.last_sample();
  slot.player.Start(list, loops);
  slot.is_playing = slot.has_played = true;
  slot.play_request = request;
  slot.barge_in = barge_in;
}

// `code`: 1 a key, 2 an order.
void MediaCore::StopPlaying(LegSlot& slot, uint8_t code) {
  if (!slot.is_playing) return;
  slot.player.FadeOut();
  slot.is_playing = slot.is_reading_back = false;
  Emit(EventKind::kPlayEnded, &slot, code, slot.play_request);
}

EngineFault MediaCore::OpenField(const Command& command, LegSlot& slot) {
  if (slot.payment == 0) return EngineFault::kNoPayment;
  slot.keys_open = false;
  if (!vault_->OpenField(slot.payment, command.order)) return EngineFault::kBadArgument;
  // Keys that waited come in one by one, as if they were pressed now; what is left after the end waits on.
  KeyResult result;
  for (size_t i = 0; i < kTypeAheadMax && vault_->NextTypeAhead(slot.payment, &result); ++i) {
    EmitKey(slot, result);
    if (slot.barge_in) StopPlaying(slot, 1);
    if (result.end != FieldEnd::kOpen) break;
  }
  return EngineFault::kNone;
}

// Keys of control's own: the vault's never come this way. A leg that pays is sent none, for it would hear them as its own.
EngineFault MediaCore::SendKeys(const Command& command, LegSlot& slot) {
  if (slot.payment != 0) return EngineFault::kBadArgument;
  if (command.keys.mode == KeyMode::kEvent && !slot.leg->CanSendKeys()) return EngineFault::kNoEvents;
  if (!slot.leg->SendKeys(command.keys)) return EngineFault::kLimit;
  slot.keys_request = command.request;
  return EngineFault::kNone;
}

// The digits are on this stack, in the play list as recordings, and nowhere else; both are wiped.
EngineFault MediaCore::ReadBack(const Command& command, LegSlot& slot) {
  if (slot.payment == 0) return EngineFault::kNoPayment;
  if (command.locale >= kLocalesMax || !has_voice_[command.locale]) return EngineFault::kBadArgument;
  const Engine::ReadBackVoice& voice = voices_[command.locale];
  uint8_t digits[kFieldDigitsMax];
  const size_t count = vault_->DigitsForReadBack(slot.payment, command.field, digits, sizeof digits);
  std::array<Recording, kPlayListMax> list;
  size_t used = 0;
  const auto say = [&](int32_t index) {
    if (used < list.size()) list[used++] = recordings_.At(index);
  };
  if (command.style == ReadBackStyle::kMonthYear && count == 4) {
    const size_t month = size_t{10} * digits[0] + digits[1];
    if (month >= 1 && month <= 12) say(voice.months[month - 1]);
    say(voice.years[size_t{10} * digits[2] + digits[3]]);
  } else {
    const size_t first = command.style == ReadBackStyle::kLastFour && count > 4 ? count - 4 : 0;
    for (size_t i = first; i < count; ++i) {
      if (i > first && (i - first) % 4 == 0) say(voice.pause);
      say(voice.digits[digits[i] % 10]);
    }
  }
  WipeBytes(digits);
  StartPlaying(slot, command.request, std::span(list.data(), used), true, false);
  slot.is_reading_back = true;
  list.fill(Recording{});
  asm volatile("" : : "r"(list.data()) : "memory");
  return count == 0 ? EngineFault::kBadArgument : EngineFault::kNone;
}

// ----------------------------------------------------------------------------------------------------- keys

void MediaCore::EmitKey(const LegSlot& slot, const KeyResult& result) {
  const auto field = static_cast<uint8_t>(result.field);
  Emit(EventKind::kFieldKey, &slot, static_cast<uint8_t>(result.key), 0, field, &result.facts);
  if (result.end == FieldEnd::kOpen) return;
  Emit(EventKind::kFieldEnded, &slot, static_cast<uint8_t>(result.end), 0, field, &result.facts);
}

void MediaCore::HandleKey(LegSlot& slot, const KeyHeard& key) {
  if (slot.mask != nullptr) SendNeutralKey(slot, key);
  if (!key.begins) {
    if (slot.payment == 0 && !slot.keys_open) RelayKey(slot, key);
    return;
  }
  // A key that means nothing here (A to D, or one that the menu does not offer) stops no prompt: nothing would follow.
  if (slot.keys_open && (slot.keys_allowed >> key.event & 1) == 0) return;
  if (slot.barge_in && key.event <= kEventHash) StopPlaying(slot, 1);
  if (slot.keys_open) {
    Emit(EventKind::kOpenKey, &slot, key.event, 0);
    if (--slot.keys_left == 0) slot.keys_open = false;
    return;
  }
  if (slot.payment != 0) {
    KeyResult result;
    if (vault_->OnKey(slot.payment, key.event, &result)) EmitKey(slot, result);
    return;
  }
  RelayKey(slot, key);
}

// Outside a payment a key goes to whoever hears this leg: an IVR behind us wants it. A tone passes in the audio itself.
// Whoever pays is sent none: his phone would send it back, as if it were his.
void MediaCore::RelayKey(const LegSlot& slot, const KeyHeard& key) {
  if (!key.by_event || slot.mask != nullptr) return;
  EachLeg(calls_[slot.call], [&](LegSlot& to) {
    if ((to.hears >> slot.place & 1) == 0) return;
    const bool is_sent = to.payment == 0 && to.leg->CanSendKeys();
    if (key.begins && !is_sent) return;
    PassKey(slot, to, key.event, key.begins);
    if (key.begins) Emit(EventKind::kRelayedKey, &slot, 0, 0);
  });
}

// One key at a time reaches a leg: another's ends the one before, and only its own talker's release ends it.
void MediaCore::PassKey(const LegSlot& from, LegSlot& to, uint8_t event, bool begins) {
  if (begins) {
    to.leg->BeginKey(event);
    to.key_from = from.place;
  } else if (to.key_from == from.place) {
    to.leg->EndKey();
    to.key_from = kNoPlace;
  }
}

void MediaCore::EndRelayedKeys(const LegSlot& slot) {
  EachLeg(calls_[slot.call], [&](LegSlot& to) { PassKey(slot, to, 0, false); });
}

// -------------------------------------------------------------------------------------------------- packets

void MediaCore::OnRtp(uint16_t index, std::span<uint8_t> bytes, const Endpoint& from, uint64_t now_us) {
  LegSlot& slot = legs_[index];
  if (slot.leg == nullptr) return;
  KeyHeard keys[kKeysHeardMax];
  const size_t count = slot.leg->OnRtp(bytes, from, now_us, keys);
  slot.is_silent = false;
  if (count == 0) return;
  for (size_t i = 0; i < count; ++i) HandleKey(slot, keys[i]);
  WipeBytes(bytes);
}

void MediaCore::OnRtcp(uint16_t index, std::span<uint8_t> bytes, const Endpoint& from, uint64_t now_us) {
  if (legs_[index].leg != nullptr) legs_[index].leg->OnRtcp(bytes, from, now_us);
}

void MediaCore::Tick(uint64_t tick, uint64_t now_us, PacketSink& sink) {
  const uint64_t clock_ms = (tick + 1) * kSlotMs;   // Never 0, which is "not running" in a leg.
  for (size_t i = tick % kSlots; i < calls_used_; i += kSlots) {
    if (calls_[i].count > 0) ProcessCall(calls_[i], clock_ms, now_us, sink);
  }
  if (odd_legs_ == 0) return;
  for (size_t i = 0; i < legs_used_; ++i) {
    if (legs_[i].leg != nullptr && legs_[i].has_odd_ptime) SendDue(static_cast<uint16_t>(i), clock_ms, sink);
  }
}

void MediaCore::SendDue(uint16_t index, uint64_t clock_ms, PacketSink& sink) {
  Leg& leg = *legs_[index].leg;
  uint8_t packet[kRtpPacketBytesMax];
  constexpr size_t kPacketsPerTurnMax = 4;
  for (size_t i = 0; i < kPacketsPerTurnMax; ++i) {
    const size_t length = leg.NextPacket(clock_ms, packet);
    if (length == 0) return;
    sink.SendRtp(index, std::span(packet, length), leg.destination());
  }
}

void MediaCore::ListenToAll(const Call& call, uint64_t now_ms, Turn& turn) {
  turn.count = call.count;
  EachLeg(call, [&](LegSlot& slot) {
    const uint8_t i = slot.place;
    KeyHeard keys[kKeysHeardMax];
    size_t key_count = 0;
    turn.legs[i] = &slot;
    turn.said[i] = slot.leg->Listen(now_ms, keys, &key_count);
    for (size_t k = 0; k < key_count; ++k) HandleKey(slot, keys[k]);
    if (slot.mask != nullptr) StepMask(slot, turn.said[i], now_ms, turn.masked[i].data());
    if (slot.payment == 0 && slot.leg->IsSaying()) turn.open |= 1U << i;
    if (IsMaskHeard(slot)) turn.behind_mask |= 1U << i;
  });
}

// Who comes into somebody's mix, and who goes out of it.
void MediaCore::ChangeEars(Turn& turn) {
  for (uint8_t i = 0; i < turn.count; ++i) {
    LegSlot& slot = *turn.legs[i];
    Turn::Ear& ear = turn.ears[i];
    ear = EarOf(slot, turn);
    const uint32_t now = ear.openly | ear.through_mask;
    if (now == slot.heard) continue;
    for (uint32_t gone = slot.heard & ~now; gone != 0; gone &= gone - 1) {
      slot.tail += LastHeard(slot, *turn.legs[static_cast<size_t>(std::countr_zero(gone))]);
    }
    slot.heard = now;
  }
}

// Where many hear nearly all, the sum of all is made once and each listener's is that less what he does not hear. Who pays
// is not in it, whatever is taken out again: his voice is in no sum that anybody gets.
void MediaCore::SumOnce(Turn& turn) {
  for (uint8_t i = 0; i < turn.count; ++i) turn.in_sum |= turn.ears[i].openly;
  int saved = -std::popcount(turn.in_sum);
  for (uint8_t i = 0; i < turn.count; ++i) {
    const uint32_t openly = turn.ears[i].openly;
    saved += std::max(0, std::popcount(openly) - std::popcount(turn.in_sum & ~openly) - 1);
  }
  if (saved <= 0) return;
  turn.sum.fill(0);
  for (uint32_t rest = turn.in_sum; rest != 0; rest &= rest - 1) {
    AddVoice(turn.said[static_cast<size_t>(std::countr_zero(rest))], &turn.sum);
  }
  turn.has_sum = true;
}

// What a leg is told: others' voices, and the prompt that it hears. One voice alone is passed on as it is, and silence is
// made once for all.
const int16_t* MediaCore::Mix(LegSlot& slot, const Turn& turn, int16_t* frame) {
  static constexpr std::array<int16_t, kFrameSamples> kSilence{};
  const Turn::Ear& ear = turn.ears[slot.place];
  const uint32_t voices = ear.openly | ear.through_mask;
  const uint32_t second = voices & (voices - 1);
  if (slot.has_played || ear.fresh != 0 || slot.tail != 0 || (second & (second - 1)) != 0) return MixAll(slot, turn, frame);
  if (voices == 0) return kSilence.data();
  if (second == 0) return turn.Voice(ear, voices);
  MixTwo(turn.Voice(ear, voices), turn.Voice(ear, second), frame);
  return frame;
}

// Summed in 32 bits and clipped once.
const int16_t* MediaCore::MixAll(LegSlot& slot, const Turn& turn, int16_t* frame) {
  const Turn::Ear& ear = turn.ears[slot.place];
  VoiceSum sum;
  uint32_t added = ear.openly | ear.through_mask;
  const uint32_t besides = turn.in_sum & ~ear.openly;
  if (turn.has_sum && (ear.fresh & ear.openly) == 0 && std::popcount(besides) + 1 < std::popcount(ear.openly)) {
    sum = turn.sum;
    for (uint32_t rest = besides; rest != 0; rest &= rest - 1) {
      TakeVoice(turn.said[static_cast<size_t>(std::countr_zero(rest))], &sum);
    }
    added = ear.through_mask;
  } else {
    sum.fill(0);
  }
  for (uint32_t rest = added; rest != 0; rest &= rest - 1) {
    const bool is_fresh = (ear.fresh >> std::countr_zero(rest) & 1) != 0;
    is_fresh ? AddFreshVoice(turn.Voice(ear, rest), &sum) : AddVoice(turn.Voice(ear, rest), &sum);
  }
  if (slot.tail != 0) AddTail(std::exchange(slot.tail, 0), &sum);
  if (slot.has_played) {
    const bool was_playing = slot.player.MixInto(sum.data());
    slot.has_played = slot.player.IsPlaying();
    // A list of nothing was never playing.
    if (slot.is_playing && !(was_playing && slot.has_played)) {
      slot.is_playing = slot.is_reading_back = false;
      Emit(EventKind::kPlayEnded, &slot, 0, slot.play_request);
    }
  }
  ClipSum(sum, frame);
  return frame;
}

void MediaCore::ReportSilence(LegSlot& slot, uint64_t now_ms) {
  if (slot.since_ms == 0) slot.since_ms = now_ms;
  const uint64_t heard_ms = std::max(slot.leg->last_packet_ms(), slot.since_ms);
  if (slot.is_silent || !slot.leg->media().receive || now_ms - heard_ms <= limits_.silence_event_ms) return;
  slot.is_silent = true;
  Emit(EventKind::kLegSilent, &slot, 0, 0, 0, nullptr, static_cast<uint32_t>(now_ms - heard_ms));
}

void MediaCore::ProcessCall(Call& call, uint64_t clock_ms, uint64_t now_us, PacketSink& sink) {
  const uint64_t now_ms = now_us / 1000;
  Turn turn;
  ListenToAll(call, now_ms, turn);
  ChangeEars(turn);
  if (turn.count > 3) SumOnce(turn);              // Of three voices two are as many as three less one.
  for (uint8_t i = 0; i < turn.count; ++i) {
    LegSlot& slot = *turn.legs[i];
    const auto index = static_cast<uint16_t>(slot.handle);
    VoiceFrame frame;
    slot.leg->Speak(Mix(slot, turn, frame.data()), clock_ms);
    KeepLast(slot, turn);
    if (slot.leg->TakeKeysSent()) Emit(EventKind::kKeysSent, &slot, 0, slot.keys_request);
    SendDue(index, clock_ms, sink);

    uint8_t report[kRtcpBytesMax];
    const size_t length = slot.leg->NextReport(now_us, report);
    if (length > 0) {
      Endpoint to = slot.leg->destination();
      ++to.port;   // RFC 3550 §11: RTCP on the next port.
      sink.SendRtcp(index, std::span(report, length), to);
    }
    ReportSilence(slot, now_ms);
  }
}

void MediaCore::Skip(uint64_t ms) {
  for (size_t i = 0; i < legs_used_; ++i) {
    if (legs_[i].leg != nullptr) legs_[i].leg->Skip(ms);
  }
}

void MediaCore::CloseAll(PacketSink& sink) {
  for (size_t i = 0; i < legs_used_; ++i) {
    if (legs_[i].leg != nullptr) CloseLeg(static_cast<uint16_t>(i), sink);
  }
}

}  // namespace hushtone
