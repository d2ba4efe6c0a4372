// The Engine of call/engine.h: one media thread around a MediaCore, and what the control thread keeps of it.
//
// Every 5 ms the media thread wakes by an absolute clock, so that no delay adds up: commands, one packet from each socket
// that has one, the calls whose turn it is, then all sends in one pass. It sleeps without a clock while there is no leg.
#pragma once

#include <atomic>
#include <deque>
#include <thread>
#include <unordered_map>
#include <vector>

#include "call/media_core.h"
#include "io/sockets.h"

namespace hushtone {

class MediaEngine final : public Engine, private PacketSink {
 public:
  MediaEngine(const EngineLimits& limits, std::unique_ptr<Vault> vault);
  ~MediaEngine() override;
  bool Start(std::string* error);

  void SetWake(std::function<void()> wake) override;
  int32_t AddRecording(std::span<const int16_t> samples) override;
  void SetReadBackVoice(uint32_t locale, const ReadBackVoice& voice) override;
  EngineFault OpenLeg(const LegOpen& open, LegHandle* leg, uint16_t* local_port) override;
  EngineFault UpdateLeg(uint32_t request, LegHandle leg, const MediaConfig& media) override;
  EngineFault CloseLeg(uint32_t request, LegHandle leg) override;
  EngineFault SetRoutes(uint32_t request, uint32_t call, std::span<const Route> routes) override;
  EngineFault Play(uint32_t request, LegHandle leg, std::span<const int32_t> recordings, bool barge_in, bool loops) override;
  EngineFault StopPlay(uint32_t request, LegHandle leg) override;
  EngineFault ArmMask(uint32_t request, LegHandle leg, const MaskOrder& order) override;
  EngineFault DisarmMask(uint32_t request, LegHandle leg) override;
  EngineFault BeginPayment(uint32_t request, LegHandle leg) override;
  EngineFault EndPayment(uint32_t request, LegHandle leg) override;
  EngineFault OpenField(uint32_t request, LegHandle leg, const FieldOrder& order) override;
  EngineFault CloseField(uint32_t request, LegHandle leg) override;
  EngineFault WipeField(uint32_t request, LegHandle leg, FieldKind field) override;
  EngineFault OpenKeys(uint32_t request, LegHandle leg, uint16_t allowed_events, uint8_t length_max) override;
  EngineFault CloseKeys(uint32_t request, LegHandle leg) override;
  EngineFault SendKeys(uint32_t request, LegHandle leg, const KeysToSend& keys) override;
  EngineFault ReadBack(uint32_t request, LegHandle leg, FieldKind field, ReadBackStyle style, uint32_t locale) override;
  EngineFault CopyFields(LegHandle leg, FieldSet* out, void (*done)(void* job, bool found), void* job) override;
  size_t Drain(std::span<EngineEvent> out, uint64_t* lost) override;
  EngineFault ReadStats(LegHandle leg, LegStats* out) override;
  EngineFault SetToday(uint16_t year, uint8_t month) override;
  uint64_t Pulse() override;
  void Close() override;

 private:
  // What the control thread knows of a leg. The media thread uses `sockets` and `leg` between open and closed.
  struct LegEntry {
    enum class State : uint8_t { kFree, kOpen, kClosing, kClosed } state = State::kFree;
    uint16_t generation = 0;
    uint16_t call = kNoIndex;
    uint32_t call_number = 0;
    Codec codec = Codec::kPcmu;                   // As last ordered.
    PortPair sockets;
    Endpoint connected_to;                        // Of `sockets.peer`; the media thread's.
    std::unique_ptr<Leg> leg;
    // All that the media thread may still use, and which of them the last order named.
    std::vector<std::unique_ptr<SrtpSession>> srtp;
    SrtpSender* srtp_sender = nullptr;
    SrtpReceiver* srtp_receiver = nullptr;
  };
  // A packet made in this step. They leave together: a send then finds the kernel's code in the cache, and whoever takes
  // them is woken once and not for each.
  struct Outgoing {
    int fd;
    uint16_t length;
    bool is_connected;
    Endpoint to;
    std::array<uint8_t, kRtpPacketBytesMax> bytes;
  };
  struct CallEntry {
    uint32_t number = 0;
    uint8_t legs = 0;
  };

  LegEntry* Find(LegHandle leg);
  static bool ToLegMedia(const MediaConfig& config, LegMedia* out);
  static EngineFault MakeSrtp(const MediaConfig& config, LegEntry& entry);
  bool BindPorts(const LegOpen& open, PortPair* out);
  EngineFault Send(Command&& command, LegHandle leg);
  void CollectClosed();
  uint16_t TakeCall(uint32_t number);

  // Media thread.
  void Run();
  void ReceiveReady(int timeout_ms);
  void Receive(uint64_t tag, uint64_t now_us);
  void RunCommands();
  void Watch(const Command& command);
  void Follow(LegEntry& entry);
  void SendRtp(uint16_t leg, std::span<const uint8_t> bytes, const Endpoint& to) override;
  void SendRtcp(uint16_t leg, std::span<const uint8_t> bytes, const Endpoint& to) override;
  void Closed(uint16_t leg) override;
  void Queue(int fd, bool is_connected, std::span<const uint8_t> bytes, const Endpoint& to);
  void SendQueued();
  void Retired(std::unique_ptr<CodedAudio> coded) override;
  void RunWaker();
  static void Signal(int fd);

  const EngineLimits limits_;
  RecordingTable recordings_;
  std::deque<ReadBackVoice> voices_;              // Stable addresses.
  SpscRing<Command> commands_;
  SpscRing<EngineEvent> events_;
  SpscRing<uint16_t> closed_;
  SpscRing<CodedAudio*> retired_;                 // As many places as commands: it is emptied before each update.
  MediaCore core_;
  std::vector<LegEntry> legs_;
  std::vector<CallEntry> calls_;
  std::unordered_map<uint32_t, uint16_t> call_of_;
  uint16_t next_leg_ = 0;
  uint16_t next_port_;
  size_t legs_open_ = 0;

  std::atomic<bool> stopping_{false};
  std::unique_ptr<Outgoing[]> outgoing_;          // Media thread's, as what follows.
  size_t outgoing_count_ = 0;
  size_t legs_live_ = 0;
  std::atomic<uint64_t> turns_{0};                 // With legs and without.
  std::atomic<uint64_t> ticks_late_{0};
  std::atomic<uint64_t> ticks_skipped_{0};
  int epoll_ = -1;
  int command_signal_ = -1;                       // Wakes a media thread that sleeps without a clock.
  int event_signal_ = -1;                         // Wakes the waker.
  std::function<void()> wake_;
  std::thread media_thread_;
  std::thread waker_thread_;
  bool closed_down_ = false;
};

}  // namespace hushtone
