#include "io/media_engine.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace hushtone {
namespace {

constexpr size_t kCommandSlots = 4096;
constexpr size_t kEventSlots = 32768;
constexpr size_t kReadyMax = 1024;                // Sockets read in one tick; the others are first in the next.
constexpr size_t kCommandsPerTickMax = 256;
constexpr size_t kSendsMax = 1024;                 // Of one pass; more go in a second.
// Which of a leg's sockets; its index stands below.
constexpr uint64_t kStrayTag = 1U << 16;
constexpr uint64_t kRtcpTag = 1U << 17;
constexpr uint64_t kSignalTag = 1U << 18;
constexpr int kMediaThreadNice = -11;              // What desktops give to sound.
constexpr uint64_t kCatchUpTicksMax = 20;         // What a longer stop of the machine held up is left out.
constexpr uint64_t kSlotNs = kSlotMs * 1000000;
// Of one leg: the two in use, and those that the media thread has not let go yet. More in one tick is nobody's call.
constexpr size_t kSrtpSessionsMax = 16;

uint64_t MonotonicNs() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

// Wall time at start, moved on by the monotonic clock: RTCP wants one, intervals the other, and a leap must move neither.
uint64_t NowUs() {
  static const uint64_t offset_us = [] {
    timespec wall;
    clock_gettime(CLOCK_REALTIME, &wall);
    return static_cast<uint64_t>(wall.tv_sec) * 1000000 + static_cast<uint64_t>(wall.tv_nsec) / 1000 - MonotonicNs() / 1000;
  }();
  return offset_us + MonotonicNs() / 1000;
}

void SleepUntil(uint64_t ns) {
  const timespec until{static_cast<time_t>(ns / 1000000000), static_cast<long>(ns % 1000000000)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr) == EINTR) {
  }
}

uint16_t IndexOf(LegHandle leg) { return static_cast<uint16_t>(leg & 0xffff); }

// RFC 3550 §5.1: SSRC, first sequence number and first timestamp are random.
struct StreamStart {
  uint32_t ssrc, timestamp;
  uint16_t sequence_number;
};

StreamStart RandomStart() {
  StreamStart start{};
  (void)getrandom(&start, sizeof start, 0);
  return start;
}

}  // namespace

std::unique_ptr<Engine> Engine::Create(const EngineLimits& limits, std::unique_ptr<Vault> vault, std::string* error) {
  if (limits.port_first >= limits.port_last || limits.port_first % 2 != 0) {
    *error = "port range must begin even and hold at least two ports";
    return nullptr;
  }
  auto engine = std::make_unique<MediaEngine>(limits, std::move(vault));
  if (!engine->Start(error)) return nullptr;
  return engine;
}

MediaEngine::MediaEngine(const EngineLimits& limits, std::unique_ptr<Vault> vault)
    : limits_(limits), commands_(kCommandSlots), events_(kEventSlots), closed_(kLegsMax), retired_(kCommandSlots),
      core_(limits, std::move(vault), recordings_, events_), legs_(kLegsMax), calls_(kCallsMax),
      next_port_(limits.port_first), outgoing_(std::make_unique<Outgoing[]>(kSendsMax)) {}

bool MediaEngine::Start(std::string* error) {
  epoll_ = epoll_create1(EPOLL_CLOEXEC);
  command_signal_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  event_signal_ = eventfd(0, EFD_CLOEXEC);
  if (epoll_ < 0 || command_signal_ < 0 || event_signal_ < 0) {
    *error = std::string("cannot make the media thread's files: ") + std::strerror(errno);
    return false;
  }
  epoll_event watch{};
  watch.events = EPOLLIN;
  watch.data.u64 = kSignalTag;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, command_signal_, &watch);
  media_thread_ = std::thread([this] { Run(); });
  return true;
}

MediaEngine::~MediaEngine() { Close(); }

void MediaEngine::Signal(int fd) {
  const uint64_t one = 1;
  (void)!write(fd, &one, sizeof one);
}

void MediaEngine::Close() {
  if (closed_down_) return;
  closed_down_ = true;
  stopping_.store(true);
  Signal(command_signal_);
  if (media_thread_.joinable()) media_thread_.join();
  Signal(event_signal_);
  if (waker_thread_.joinable()) waker_thread_.join();
  for (LegEntry& entry : legs_) ClosePair(&entry.sockets);
  CollectClosed();
  for (const int fd : {epoll_, command_signal_, event_signal_}) {
    if (fd >= 0) close(fd);
  }
}

// -------------------------------------------------------------------------------------------- control thread

void MediaEngine::SetWake(std::function<void()> wake) {
  if (waker_thread_.joinable()) return;
  wake_ = std::move(wake);
  waker_thread_ = std::thread([this] { RunWaker(); });
}

int32_t MediaEngine::AddRecording(std::span<const int16_t> samples) {
  auto copy = std::make_unique<int16_t[]>(samples.size());
  std::memcpy(copy.get(), samples.data(), samples.size_bytes());
  return recordings_.Add(std::move(copy), samples.size());
}

void MediaEngine::SetReadBackVoice(uint32_t locale, const ReadBackVoice& voice) {
  voices_.push_back(voice);
  Command command;
  command.kind = Command::Kind::kSetVoice;
  command.locale = locale;
  command.voice = &voices_.back();
  (void)Send(std::move(command), 0);
}

EngineFault MediaEngine::SetToday(uint16_t year, uint8_t month) {
  Command command;
  command.kind = Command::Kind::kSetToday;
  command.year = year;
  command.month = month;
  return Send(std::move(command), 0);
}

MediaEngine::LegEntry* MediaEngine::Find(LegHandle leg) {
  const uint16_t index = IndexOf(leg);
  if (leg == 0 || index >= kLegsMax) return nullptr;
  LegEntry& entry = legs_[index];
  return entry.state != LegEntry::State::kFree && entry.generation == leg >> 16 ? &entry : nullptr;
}

bool MediaEngine::ToLegMedia(const MediaConfig& config, LegMedia* out) {
  if (!config.remote_address.empty() && !ParseAddress(config.remote_address, config.remote_port, &out->remote)) return false;
  if (config.ptime_ms < 10 || config.ptime_ms > kPtimeMsMax || config.ptime_ms % 10 != 0) return false;
  if (!IsG711(config.codec) && config.codec != Codec::kG722 && config.codec != Codec::kOpus) return false;
  // RFC 6716 §2.1.4: Opus frames last 10, 20, 40 or 60 ms.
  if (config.codec == Codec::kOpus && (config.ptime_ms == 30 || config.ptime_ms == 50)) return false;
  out->codec = config.codec;
  out->send_payload_type = config.send_payload_type & 0x7f;
  out->receive_payload_type = config.receive_payload_type & 0x7f;
  out->send_event_payload_type = config.send_event_payload_type;
  out->receive_event_payload_type = config.receive_event_payload_type;
  out->event_clock_rate = config.event_clock_rate;
  out->send_red_payload_type = config.send_red_payload_type;
  out->receive_red_payload_type = config.receive_red_payload_type;
  out->send_noise = config.send_noise && TimestampScale(config.codec) == 1;
  out->ptime_ms = config.ptime_ms;
  out->send = config.send;
  out->receive = config.receive;
  out->dtmf = config.dtmf;
  out->secure = config.secure;
  out->send_voip_metrics = config.send_voip_metrics;
  out->send_reference_time = config.send_reference_time;
  return true;
}

// A key that is there already goes on with its indexes; another gets a session of its own, and a sender a new SSRC.
EngineFault MediaEngine::MakeSrtp(const MediaConfig& config, LegEntry& entry) {
  std::erase_if(entry.srtp, [](const auto& session) { return session->IsRetired(); });
  if (entry.srtp.size() + 2 > kSrtpSessionsMax) return EngineFault::kLimit;
  const auto has = [&](const SrtpKey& key) { return config.secure && key.suite != SrtpSuite::kNone; };
  if (!has(config.send_key)) {
    entry.srtp_sender = nullptr;
  } else if (entry.srtp_sender == nullptr || !(entry.srtp_sender->key() == config.send_key)) {
    const StreamStart start = RandomStart();
    auto sender = SrtpSender::Create(config.send_key, start.ssrc, start.sequence_number);
    if (sender == nullptr) return EngineFault::kBadArgument;
    entry.srtp_sender = sender.get();
    entry.srtp.push_back(std::move(sender));
  }
  if (!has(config.receive_key)) {
    entry.srtp_receiver = nullptr;
  } else if (entry.srtp_receiver == nullptr || !(entry.srtp_receiver->key() == config.receive_key)) {
    auto receiver = SrtpReceiver::Create(config.receive_key, config.receive_roc_max);
    if (receiver == nullptr) return EngineFault::kBadArgument;
    entry.srtp_receiver = receiver.get();
    entry.srtp.push_back(std::move(receiver));
  }
  return EngineFault::kNone;
}

bool MediaEngine::BindPorts(const LegOpen& open, PortPair* out) {
  if (open.local_port != 0) return BindPair(open.local_address, open.local_port, out);
  // Ports are taken in turn, so that one just given back is not the next: late packets of the last call find nobody.
  const uint32_t pairs = (limits_.port_last - limits_.port_first + 1U) / 2;
  for (uint32_t i = 0; i < pairs; ++i) {
    const uint16_t port = next_port_;
    next_port_ = next_port_ + 3 > limits_.port_last ? limits_.port_first : static_cast<uint16_t>(next_port_ + 2);
    if (BindPair(open.local_address, port, out)) return true;
  }
  return false;
}

uint16_t MediaEngine::TakeCall(uint32_t number) {
  const auto known = call_of_.find(number);
  if (known != call_of_.end()) return known->second;
  for (size_t i = 0; i < calls_.size(); ++i) {
    if (calls_[i].legs != 0) continue;
    calls_[i].number = number;
    call_of_[number] = static_cast<uint16_t>(i);
    return static_cast<uint16_t>(i);
  }
  return kNoIndex;
}

EngineFault MediaEngine::OpenLeg(const LegOpen& open, LegHandle* leg, uint16_t* local_port) {
  if (closed_down_) return EngineFault::kLimit;
  CollectClosed();
  LegMedia media;
  if (!ToLegMedia(open.media, &media)) return EngineFault::kBadArgument;

  uint16_t index = kNoIndex;
  for (size_t i = 0; i < kLegsMax && index == kNoIndex; ++i) {
    const auto at = static_cast<uint16_t>((next_leg_ + i) % kLegsMax);
    if (legs_[at].state == LegEntry::State::kFree || legs_[at].state == LegEntry::State::kClosed) index = at;
  }
  LegEntry entry;
  if (index == kNoIndex) return EngineFault::kLimit;
  if (const EngineFault fault = MakeSrtp(open.media, entry); fault != EngineFault::kNone) return fault;
  if (!BindPorts(open, &entry.sockets)) return EngineFault::kNoPort;
  // Last of what can fail but the ring: a number that stood for a call without legs could come to share its place.
  const uint16_t call = TakeCall(open.call);
  if (call == kNoIndex || calls_[call].legs >= kLegsPerCallMax) {
    ClosePair(&entry.sockets);
    return EngineFault::kLimit;
  }
  std::unique_ptr<CodedAudio> coded = CodedAudio::Create(media.codec, limits_.jitter_ms_max);
  if (coded == nullptr && !IsG711(media.codec)) {
    ClosePair(&entry.sockets);
    if (calls_[call].legs == 0) call_of_.erase(open.call);
    return EngineFault::kLimit;
  }
  const StreamStart start = RandomStart();
  entry.leg = std::make_unique<Leg>(media, start.ssrc, start.sequence_number, start.timestamp, limits_.jitter_ms_max,
                                    std::move(coded));
  entry.codec = media.codec;
  entry.leg->SetSrtp(entry.srtp_sender, entry.srtp_receiver);
  entry.state = LegEntry::State::kOpen;
  entry.generation = static_cast<uint16_t>(legs_[index].generation + 1);
  if (entry.generation == 0) entry.generation = 1;
  entry.call = call;
  entry.call_number = open.call;

  Command command;
  command.kind = Command::Kind::kOpenLeg;
  command.leg = index;
  command.handle = index | static_cast<uint32_t>(entry.generation) << 16;
  command.call = call;
  command.opened = entry.leg.get();
  command.media = media;
  *leg = command.handle;
  *local_port = entry.sockets.port;
  legs_[index] = std::move(entry);
  if (!commands_.Push(std::move(command))) {
    ClosePair(&legs_[index].sockets);
    legs_[index].state = LegEntry::State::kFree;
    if (calls_[call].legs == 0) call_of_.erase(open.call);
    return EngineFault::kRingFull;
  }
  Signal(command_signal_);
  next_leg_ = static_cast<uint16_t>((index + 1) % kLegsMax);
  ++calls_[call].legs;
  ++legs_open_;
  return EngineFault::kNone;
}

EngineFault MediaEngine::Send(Command&& command, LegHandle leg) {
  if (leg != 0) {
    const LegEntry* entry = Find(leg);
    if (entry == nullptr || entry->state != LegEntry::State::kOpen) return EngineFault::kNoLeg;
    command.leg = IndexOf(leg);
    command.handle = leg;
  }
  if (closed_down_) return EngineFault::kNoLeg;
  if (!commands_.Push(std::move(command))) return EngineFault::kRingFull;
  Signal(command_signal_);
  return EngineFault::kNone;
}

EngineFault MediaEngine::UpdateLeg(uint32_t request, LegHandle leg, const MediaConfig& media) {
  Command command;
  command.kind = Command::Kind::kUpdateLeg;
  command.request = request;
  if (!ToLegMedia(media, &command.media)) return EngineFault::kBadArgument;
  CollectClosed();
  LegEntry* entry = Find(leg);
  if (entry == nullptr || entry->state != LegEntry::State::kOpen) return EngineFault::kNoLeg;
  std::unique_ptr<CodedAudio> coded;
  if (media.codec != entry->codec && !IsG711(media.codec)) {
    coded = CodedAudio::Create(media.codec, limits_.jitter_ms_max);
    if (coded == nullptr) return EngineFault::kLimit;
  }
  if (const EngineFault fault = MakeSrtp(media, *entry); fault != EngineFault::kNone) return fault;
  command.srtp_sender = entry->srtp_sender;
  command.srtp_receiver = entry->srtp_receiver;
  command.coded = coded.get();
  const EngineFault fault = Send(std::move(command), leg);
  if (fault != EngineFault::kNone) return fault;
  (void)coded.release();
  entry->codec = media.codec;
  return EngineFault::kNone;
}

EngineFault MediaEngine::SendKeys(uint32_t request, LegHandle leg, const KeysToSend& keys) {
  if (!AreSendable(keys)) return EngineFault::kBadArgument;
  Command command;
  command.kind = Command::Kind::kSendKeys;
  command.request = request;
  command.keys = keys;
  return Send(std::move(command), leg);
}

EngineFault MediaEngine::CloseLeg(uint32_t request, LegHandle leg) {
  Command command;
  command.kind = Command::Kind::kCloseLeg;
  command.request = request;
  const EngineFault fault = Send(std::move(command), leg);
  if (fault == EngineFault::kNone) Find(leg)->state = LegEntry::State::kClosing;
  return fault;
}

EngineFault MediaEngine::SetRoutes(uint32_t request, uint32_t call, std::span<const Route> routes) {
  const auto known = call_of_.find(call);
  if (known == call_of_.end()) return EngineFault::kNoCall;
  Command command;
  command.kind = Command::Kind::kSetRoutes;
  command.request = request;
  command.call = known->second;
  for (const Route& route : routes) {
    const LegEntry* from = Find(route.from);
    const LegEntry* to = Find(route.to);
    if (from == nullptr || to == nullptr || from->call != known->second || to->call != known->second) return EngineFault::kNoLeg;
    if (!command.AddRoute(IndexOf(route.from), IndexOf(route.to), route.masked)) return EngineFault::kLimit;
  }
  return Send(std::move(command), 0);
}

EngineFault MediaEngine::Play(uint32_t request, LegHandle leg, std::span<const int32_t> recordings, bool barge_in, bool loops) {
  Command command;
  command.kind = Command::Kind::kPlay;
  command.request = request;
  command.flag = barge_in;
  command.loops = loops;
  if (recordings.size() > kPlayListMax) return EngineFault::kLimit;
  for (const int32_t index : recordings) {
    if (recordings_.At(index).empty()) return EngineFault::kBadArgument;
    command.recordings[command.count++] = index;
  }
  return Send(std::move(command), leg);
}

EngineFault MediaEngine::StopPlay(uint32_t request, LegHandle leg) {
  Command command;
  command.kind = Command::Kind::kStopPlay;
  command.request = request;
  return Send(std::move(command), leg);
}

EngineFault MediaEngine::ArmMask(uint32_t request, LegHandle leg, const MaskOrder& order) {
  if (order.neutral_event > kEventKeyLast) return EngineFault::kBadArgument;
  Command command;
  command.kind = Command::Kind::kArmMask;
  command.request = request;
  command.mask = order;
  return Send(std::move(command), leg);
}

EngineFault MediaEngine::DisarmMask(uint32_t request, LegHandle leg) {
  Command command;
  command.kind = Command::Kind::kDisarmMask;
  command.request = request;
  return Send(std::move(command), leg);
}

EngineFault MediaEngine::BeginPayment(uint32_t request, LegHandle leg) {
  Command command;
  command.kind = Command::Kind::kBeginPayment;
  command.request = request;
  return Send(std::move(command), leg);
}

EngineFault MediaEngine::EndPayment(uint32_t request, LegHandle leg) {
  Command command;
  command.kind = Command::Kind::kEndPayment;
  command.request = request;
  return Send(std::move(command), leg);
}

EngineFault MediaEngine::OpenField(uint32_t request, LegHandle leg, const FieldOrder& order) {
  Command command;
  command.kind = Command::Kind::kOpenField;
  command.request = request;
  command.order = order;
  return Send(std::move(command), leg);
}

EngineFault MediaEngine::CloseField(uint32_t request, LegHandle leg) {
  Command command;
  command.kind = Command::Kind::kCloseField;
  command.request = request;
  return Send(std::move(command), leg);
}

EngineFault MediaEngine::WipeField(uint32_t request, LegHandle leg, FieldKind field) {
  Command command;
  command.kind = Command::Kind::kWipeField;
  command.request = request;
  command.field = field;
  return Send(std::move(command), leg);
}

EngineFault MediaEngine::OpenKeys(uint32_t request, LegHandle leg, uint16_t allowed_events, uint8_t length_max) {
  if (length_max == 0) return EngineFault::kBadArgument;
  Command command;
  command.kind = Command::Kind::kOpenKeys;
  command.request = request;
  command.allowed_events = allowed_events;
  command.length_max = length_max;
  return Send(std::move(command), leg);
}

EngineFault MediaEngine::CloseKeys(uint32_t request, LegHandle leg) {
  Command command;
  command.kind = Command::Kind::kCloseKeys;
  command.request = request;
  return Send(std::move(command), leg);
}

EngineFault MediaEngine::ReadBack(uint32_t request, LegHandle leg, FieldKind field, ReadBackStyle style, uint32_t locale) {
  Command command;
  command.kind = Command::Kind::kReadBack;
  command.request = request;
  command.field = field;
  command.style = style;
  command.locale = locale;
  return Send(std::move(command), leg);
}

EngineFault MediaEngine::CopyFields(LegHandle leg, FieldSet* out, void (*done)(void* job, bool found), void* job) {
  Command command;
  command.kind = Command::Kind::kCopyFields;
  command.fields = out;
  command.done = done;
  command.job = job;
  return Send(std::move(command), leg);
}

size_t MediaEngine::Drain(std::span<EngineEvent> out, uint64_t* lost) {
  size_t count = 0;
  while (count < out.size() && events_.Pop(&out[count])) ++count;
  *lost = core_.events_lost();
  CollectClosed();
  return count;
}

// Legs the media thread let go: their sockets close now; the figures stay until the place is taken again.
void MediaEngine::CollectClosed() {
  for (CodedAudio* coded = nullptr; retired_.Pop(&coded);) delete coded;
  uint16_t index = 0;
  while (closed_.Pop(&index)) {
    LegEntry& entry = legs_[index];
    ClosePair(&entry.sockets);
    entry.state = LegEntry::State::kClosed;
    entry.srtp.clear();
    CallEntry& call = calls_[entry.call];
    if (--call.legs == 0) call_of_.erase(call.number);
    --legs_open_;
  }
}

EngineFault MediaEngine::ReadStats(LegHandle leg, LegStats* out) {
  const LegEntry* entry = Find(leg);
  if (entry == nullptr || entry->leg == nullptr) return EngineFault::kNoLeg;
  const LegCounters& from = entry->leg->counters;
  const auto read = [](const auto& counter) { return counter.load(std::memory_order_relaxed); };
  out->packets_received = read(from.packets_received);
  out->packets_sent = read(from.packets_sent);
  const int64_t lost = read(from.packets_lost);
  out->packets_lost = lost > 0 ? static_cast<uint64_t>(lost) : 0;
  out->packets_late = read(from.packets_late);
  out->packets_duplicate = read(from.packets_duplicate);
  out->packets_from_elsewhere = read(from.packets_from_elsewhere);
  out->packets_malformed = read(from.packets_malformed) + read(from.packets_unknown_type);
  out->packets_unauthentic = read(from.packets_unauthentic);
  out->packets_replayed = read(from.packets_replayed);
  out->packets_unprotected = read(from.packets_unprotected);
  out->frames_concealed = read(from.frames_concealed);
  out->keys_by_event = read(from.keys_by_event);
  out->keys_inband = read(from.keys_inband);
  out->keys_inband_ignored = read(from.keys_ignored);
  out->jitter_us = read(from.jitter_us);
  out->round_trip_us = read(from.round_trip_us);
  out->playout_delay_ms = read(from.playout_delay_ms);
  out->remote = from.remote.Get();
  out->heard = from.heard.Get();
  out->rated = from.rated.Get();
  out->rated_by_peer = from.rated_by_peer.Get();
  out->peer_report = from.peer_report.Get();
  out->peer_jitter_us = read(from.peer_jitter_us);
  out->ticks_late = read(ticks_late_);
  out->ticks_skipped = read(ticks_skipped_);
  return EngineFault::kNone;
}

// A thread that sleeps for want of legs is woken for it.
uint64_t MediaEngine::Pulse() {
  const uint64_t turns = turns_.load(std::memory_order_relaxed);
  if (!closed_down_) Signal(command_signal_);
  return turns;
}

// ---------------------------------------------------------------------------------------------- media thread

void MediaEngine::Run() {
  // On Linux 0 is the calling thread. Where it is refused (no CAP_SYS_NICE) the clock is only as good as the machine.
  (void)setpriority(PRIO_PROCESS, 0, kMediaThreadNice);
  uint64_t next_ns = MonotonicNs();
  uint64_t tick = 0;
  while (!stopping_.load(std::memory_order_relaxed)) {
    turns_.fetch_add(1, std::memory_order_relaxed);
    if (legs_live_ == 0) {
      // A command's signal may have been read with the packets of the last slot: sleep only where no command waits.
      ReceiveReady(commands_.Empty() ? -1 : 0);
      RunCommands();
      next_ns = MonotonicNs();
      continue;
    }
    next_ns += kSlotNs;
    SleepUntil(next_ns);
    const uint64_t late_ns = MonotonicNs() - next_ns;
    if (late_ns > kTickLateUs * 1000) ticks_late_.fetch_add(1, std::memory_order_relaxed);
    if (late_ns > kCatchUpTicksMax * kSlotNs) {
      // Whole turns, so that every call keeps its place in the 20 ms. The streams' timestamps go on as if it had been
      // silent: a peer whose clock went on would otherwise hear everything late from here on.
      const uint64_t skipped = late_ns / kSlotNs / kSlots * kSlots;
      core_.Skip(skipped / kSlots * kTickMs);
      ticks_skipped_.fetch_add(skipped, std::memory_order_relaxed);
      tick += skipped;
      next_ns += skipped * kSlotNs;
    }
    RunCommands();
    ReceiveReady(0);
    const bool had_events = !events_.Empty();
    core_.Tick(tick++, NowUs(), *this);
    SendQueued();
    if (had_events || !events_.Empty()) Signal(event_signal_);
  }
  // What was ordered before Close is carried out, or an egress job would wait for its fields for good.
  while (!commands_.Empty()) RunCommands();
  core_.CloseAll(*this);
  SendQueued();
}

void MediaEngine::RunCommands() {
  Command command;
  bool any = false;
  for (size_t i = 0; i < kCommandsPerTickMax && commands_.Pop(&command); ++i) {
    core_.Execute(command, *this);
    if (command.kind == Command::Kind::kOpenLeg) Watch(command);
    if (command.kind == Command::Kind::kUpdateLeg && legs_[command.leg].leg != nullptr) Follow(legs_[command.leg]);
    any = true;
  }
  if (any) Signal(event_signal_);
}

void MediaEngine::Watch(const Command& command) {
  ++legs_live_;
  const PortPair& sockets = legs_[command.leg].sockets;
  epoll_event watch{};
  watch.events = EPOLLIN;
  watch.data.u64 = command.leg;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, sockets.peer, &watch);
  watch.data.u64 = command.leg | kStrayTag;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, sockets.stray, &watch);
  watch.data.u64 = command.leg | kRtcpTag;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, sockets.rtcp, &watch);
  Follow(legs_[command.leg]);
}

// The socket goes where the leg's packets go: to the peer of the SDP, then to where it is learned to be.
void MediaEngine::Follow(LegEntry& entry) {
  const Endpoint& peer = entry.leg->destination();
  if (peer == entry.connected_to) return;
  // Where the kernel will not (no route there), packets are sent and taken one by one as before.
  entry.connected_to = ConnectTo(entry.sockets.peer, peer) && peer.IsKnown() ? peer : Endpoint{};
}

// One packet from each socket that has one; what else waits there waits 5 ms more. Draining a socket would let one
// sender take the tick from all others.
void MediaEngine::ReceiveReady(int timeout_ms) {
  epoll_event ready[kReadyMax];
  const int count = epoll_wait(epoll_, ready, kReadyMax, timeout_ms);
  const uint64_t now_us = NowUs();
  for (int i = 0; i < count; ++i) Receive(ready[i].data.u64, now_us);
}

void MediaEngine::Receive(uint64_t tag, uint64_t now_us) {
  if ((tag & kSignalTag) != 0) {
    uint64_t value;
    (void)!read(command_signal_, &value, sizeof value);
    return;
  }
  const auto index = static_cast<uint16_t>(tag);
  LegEntry& entry = legs_[index];
  uint8_t bytes[kRtpPacketBytesMax];
  if ((tag & (kStrayTag | kRtcpTag)) == 0 && entry.connected_to.IsKnown()) {
    const ssize_t received = recv(entry.sockets.peer, bytes, sizeof bytes, 0);
    if (received <= 0) return;   // An ICMP error of an earlier send is read here, and gone.
    core_.OnRtp(index, std::span(bytes, static_cast<size_t>(received)), entry.connected_to, now_us);
    return;
  }
  const bool is_rtcp = (tag & kRtcpTag) != 0;
  const int fd = is_rtcp ? entry.sockets.rtcp : (tag & kStrayTag) != 0 ? entry.sockets.stray : entry.sockets.peer;
  sockaddr_storage address;
  socklen_t length = sizeof address;
  const ssize_t received = recvfrom(fd, bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&address), &length);
  Endpoint from;
  if (received <= 0 || !FromSockaddr(address, &from)) return;
  const std::span<uint8_t> packet(bytes, static_cast<size_t>(received));
  if (is_rtcp) {
    core_.OnRtcp(index, packet, from, now_us);
  } else {
    core_.OnRtp(index, packet, from, now_us);
    Follow(entry);
  }
}

void MediaEngine::SendRtp(uint16_t leg, std::span<const uint8_t> bytes, const Endpoint& to) {
  const LegEntry& entry = legs_[leg];
  Queue(entry.sockets.peer, to == entry.connected_to, bytes, to);
}

void MediaEngine::SendRtcp(uint16_t leg, std::span<const uint8_t> bytes, const Endpoint& to) {
  Queue(legs_[leg].sockets.rtcp, false, bytes, to);
}

void MediaEngine::Queue(int fd, bool is_connected, std::span<const uint8_t> bytes, const Endpoint& to) {
  if (bytes.size() > kRtpPacketBytesMax) return;   // The core writes into as many.
  if (outgoing_count_ == kSendsMax) SendQueued();
  Outgoing& packet = outgoing_[outgoing_count_++];
  packet.fd = fd;
  packet.is_connected = is_connected;
  packet.length = static_cast<uint16_t>(bytes.size());
  packet.to = to;
  std::memcpy(packet.bytes.data(), bytes.data(), bytes.size());
}

void MediaEngine::SendQueued() {
  for (size_t i = 0; i < outgoing_count_; ++i) {
    Outgoing& packet = outgoing_[i];
    if (packet.is_connected) {
      (void)send(packet.fd, packet.bytes.data(), packet.length, MSG_NOSIGNAL);
    } else {
      sockaddr_storage address;
      const socklen_t length = ToSockaddr(packet.to, &address);
      (void)sendto(packet.fd, packet.bytes.data(), packet.length, MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&address), length);
    }
    std::memset(packet.bytes.data(), 0, packet.length);   // A read-back is digits too.
  }
  asm volatile("" : : "r"(outgoing_.get()) : "memory");
  outgoing_count_ = 0;
}

void MediaEngine::Closed(uint16_t leg) {
  SendQueued();   // The control thread may close the sockets from here on.
  --legs_live_;
  epoll_ctl(epoll_, EPOLL_CTL_DEL, legs_[leg].sockets.peer, nullptr);
  epoll_ctl(epoll_, EPOLL_CTL_DEL, legs_[leg].sockets.stray, nullptr);
  epoll_ctl(epoll_, EPOLL_CTL_DEL, legs_[leg].sockets.rtcp, nullptr);
  (void)closed_.Push(leg);   // As many slots as there are legs.
}

// Freeing takes a lock. The ring cannot be full, see its place.
void MediaEngine::Retired(std::unique_ptr<CodedAudio> coded) {
  if (retired_.Push(coded.get())) (void)coded.release();
}

// Calls into Node take locks; the media thread takes none, so this thread does it.
void MediaEngine::RunWaker() {
  while (!stopping_.load()) {
    uint64_t value = 0;
    if (read(event_signal_, &value, sizeof value) != sizeof value) continue;
    if (!stopping_.load()) wake_();
  }
}

}  // namespace hushtone
