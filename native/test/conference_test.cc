// Calls of many: what each party hears, sample by sample, against a mixer of its own kind: double precision, one voice after
// the other from a list of routes, clipped once at the end. Nothing of the engine's sums is used in it.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <numbers>
#include <random>
#include <vector>

#include "bench/presses.h"
#include "check.h"
#include "core_bench.h"
#include "dtmf/detector.h"

using namespace hushtone;
using namespace hushtone::bench;
using hushtone::test::Bench;
using hushtone::test::Sent;

namespace {

constexpr size_t kWarmUpFrames = 12;        // The jitter buffer's delay, and the fade of a voice that is new.
constexpr size_t kFadeSamples = 40;         // 5 ms: what changes fades there, and nowhere else.
using Frame = std::array<int16_t, kFrameSamples>;

// A call whose parties say what the test gives them, in G.711 of either law, and whose every frame is kept.
class Room {
 public:
  struct Party {
    Law law = Law::kMu;
    uint32_t timestamp = 0;
    size_t frames = 0;                      // Since it joined.
    std::vector<Frame> said;                // As its codes decode; what was said before it joined is silence.
    std::vector<std::vector<uint8_t>> heard;   // Codes, a frame each.
  };

  explicit Room(ProveMask prove = &ProveSomeFrames) : bench(prove) {}

  void Join(uint16_t leg, Law law) {
    LegMedia media;
    media.codec = law == Law::kA ? Codec::kPcma : Codec::kPcmu;
    media.send_payload_type = media.receive_payload_type = law == Law::kA ? 8 : 0;
    bench.Open(leg, 0, media);
    Party party;
    party.law = law;
    party.said.assign(steps, Frame{});
    party.heard.assign(steps, {});
    parties[leg] = std::move(party);
  }

  void Leave(uint16_t leg) {
    bench.Order(leg, Command::Kind::kCloseLeg);
    parties.erase(leg);
    std::erase_if(routes, [leg](const Bench::Pair& pair) { return pair.from == leg || pair.to == leg; });
  }

  void Route(std::vector<Bench::Pair> given) {
    routes = std::move(given);
    bench.Route(routes);
  }

  void RouteAll() {
    std::vector<Bench::Pair> all;
    for (const auto& [from, one] : parties) {
      for (const auto& [to, other] : parties) {
        if (from != to) all.push_back({from, to});
      }
    }
    Route(std::move(all));
  }

  // 20 ms: everybody says what `voice` gives.
  template <typename Voice>
  void Step(Voice&& voice) {
    const size_t from = bench.sent.size();
    for (auto& [leg, party] : parties) {
      Frame frame;
      std::vector<uint8_t> codes;
      for (size_t n = 0; n < kFrameSamples; ++n) {
        codes.push_back(EncodeSample(party.law, voice(leg, steps * kFrameSamples + n)));
        frame[n] = DecodeSample(party.law, codes.back());
      }
      party.said.push_back(frame);
      bench.Rtp(leg, party.law == Law::kA ? 8 : 0, party.timestamp, codes);
      party.timestamp += kFrameSamples;
      ++party.frames;
      party.heard.emplace_back();
    }
    bench.Run(20);
    for (size_t i = from; i < bench.sent.size(); ++i) {
      const Sent& one = bench.sent[i];
      if ((one.bytes[1] & 0x7f) == 101) continue;
      parties.at(one.leg).heard.back().assign(one.bytes.begin() + kRtpHeaderBytes, one.bytes.end());
    }
    ++steps;
  }

  // What `to` should have heard in step `step`: whatever `voice_of(from, masked)` points to, or nothing where that is null.
  template <typename VoiceOf>
  std::array<double, kFrameSamples> Reference(uint16_t to, VoiceOf voice_of) const {
    std::array<double, kFrameSamples> sum{};
    for (const Bench::Pair& route : routes) {
      if (route.to != to) continue;
      const Frame* frame = voice_of(route);
      for (size_t n = 0; frame != nullptr && n < kFrameSamples; ++n) sum[n] += static_cast<double>((*frame)[n]);
    }
    return sum;
  }

  static uint8_t CodeOf(Law law, double sum) {
    return EncodeSample(law, static_cast<int16_t>(std::min(32767.0, std::max(-32768.0, sum))));
  }

  // Whether every party heard in the last step what the reference makes of it; from sample `fade` on where something changed
  // for it, which is for all where `changed_for` is empty.
  template <typename VoiceOf>
  bool HeardAsReference(VoiceOf voice_of, size_t fade = 0, const std::vector<uint16_t>& changed_for = {}) const {
    for (const auto& [to, party] : parties) {
      const bool is_changed = changed_for.empty() || std::count(changed_for.begin(), changed_for.end(), to) != 0;
      const size_t first = is_changed ? fade : 0;
      const auto& heard = party.heard.back();
      if (heard.size() != kFrameSamples) return false;
      const auto sum = Reference(to, voice_of);
      for (size_t n = first; n < kFrameSamples; ++n) {
        if (heard[n] != CodeOf(party.law, sum[n])) return false;
      }
    }
    return true;
  }

  // What `from` said in the frame that is being played now.
  const Frame* Said(uint16_t from) const { return &parties.at(from).said[steps - 1 - delay]; }

  // Nobody pays and every route is open, or might as well be.
  bool HeardAsSaid(size_t fade = 0, const std::vector<uint16_t>& changed_for = {}) const {
    return HeardAsReference([&](const Bench::Pair& route) { return Said(route.from); }, fade, changed_for);
  }

  std::vector<int16_t> Heard(uint16_t leg, size_t from_step = 0) const {
    const Party& party = parties.at(leg);
    std::vector<int16_t> samples;
    for (size_t i = from_step; i < party.heard.size(); ++i) {
      for (const uint8_t code : party.heard[i]) samples.push_back(DecodeSample(party.law, code));
    }
    return samples;
  }

  Bench bench;
  std::map<uint16_t, Party> parties;
  std::vector<Bench::Pair> routes;
  size_t steps = 0;
  size_t delay = 0;                         // Frames in the jitter buffer; found once, then held against all.
};

// Loud enough that sums of a few reach the end of the scale now and then.
class Noise {
 public:
  explicit Noise(uint64_t seed) : random_(seed) {}
  int16_t operator()(uint16_t leg, size_t) {
    const auto drawn = static_cast<int16_t>(random_());
    return leg % 3 == 0 ? drawn : static_cast<int16_t>(drawn / (leg % 3 == 1 ? 4 : 30));
  }

 private:
  std::mt19937_64 random_;
};

// A voice through nothing but the jitter buffer tells how long that is; anything else would have to look it up.
size_t FindDelay() {
  Room room;
  room.Join(0, Law::kMu);
  room.Join(1, Law::kMu);
  room.Route({{0, 1}});
  Noise noise(1);
  for (size_t i = 0; i < kWarmUpFrames; ++i) room.Step(noise);
  for (room.delay = 0; room.delay < kWarmUpFrames; ++room.delay) {
    if (room.HeardAsSaid()) return room.delay;
  }
  CHECK(false);
  return 0;
}

size_t Delay() {
  static const size_t delay = FindDelay();
  return delay;
}

void EverybodyHearsEverybodyElse() {
  for (const auto parties : std::to_array<uint16_t>({2, 3, 4, 5, 8, 13, 32})) {
    Room room;
    room.delay = Delay();
    for (uint16_t leg = 0; leg < parties; ++leg) room.Join(leg, leg % 2 == 0 ? Law::kMu : Law::kA);
    room.RouteAll();
    Noise noise(parties);
    for (size_t i = 0; i < kWarmUpFrames; ++i) room.Step(noise);
    size_t wrong = 0;
    for (size_t i = 0; i < 50; ++i) {
      room.Step(noise);
      wrong += room.HeardAsSaid() ? 0u : 1u;
    }
    CHECK(wrong == 0);
  }
}

std::vector<Bench::Pair> RandomMatrix(const Room& room, std::mt19937_64& random) {
  std::vector<Bench::Pair> routes;
  const uint64_t density = random() % 9;    // Of 8.
  for (const auto& [from, one] : room.parties) {
    for (const auto& [to, other] : room.parties) {
      if (from != to && random() % 8 < density) routes.push_back({from, to, random() % 2 == 0});
    }
  }
  return routes;
}

// Any matrix, changed again and again, with parties that come and go. What changes fades in the first 5 ms of a frame; all
// else is the reference's to the bit.
void AnyMatrixIsHeardAsItIs() {
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    std::mt19937_64 random(seed);
    Room room;
    room.delay = Delay();
    const auto parties = static_cast<uint16_t>(2 + random() % 31);
    for (uint16_t leg = 0; leg < parties; ++leg) room.Join(leg, random() % 2 == 0 ? Law::kMu : Law::kA);
    Noise noise(seed);
    for (size_t i = 0; i < kWarmUpFrames; ++i) room.Step(noise);
    uint16_t next = parties;
    size_t wrong = 0;
    for (size_t change = 0; change < 20; ++change) {
      const uint64_t kind = random() % 4;
      std::vector<uint16_t> changed_for;
      if (kind == 0 && room.parties.size() > 2) {
        auto leaving = room.parties.begin();
        std::advance(leaving, static_cast<int64_t>(random() % room.parties.size()));
        changed_for = {kLegsMax - 1};                    // Nobody: who did not hear him hears on as if nothing had been.
        for (const Bench::Pair& route : room.routes) {
          if (route.from == leaving->first) changed_for.push_back(route.to);
        }
        room.Leave(leaving->first);
      } else if (kind == 1 && room.parties.size() < kLegsPerCallMax) {
        room.Join(next++, random() % 2 == 0 ? Law::kMu : Law::kA);
        for (size_t i = 0; i < kWarmUpFrames; ++i) {    // It hears and says nothing yet that is routed.
          room.Step(noise);
          wrong += room.HeardAsSaid() ? 0u : 1u;
        }
      } else {
        room.Route(RandomMatrix(room, random));
      }
      for (size_t i = 0; i < 4; ++i) {
        room.Step(noise);
        wrong += room.HeardAsSaid(i == 0 ? kFadeSamples : 0, changed_for) ? 0u : 1u;
      }
    }
    if (wrong != 0) std::fprintf(stderr, "seed %llu: %zu frames wrong\n", static_cast<unsigned long long>(seed), wrong);
    CHECK(wrong == 0);
  }
}

// Three at the end of the scale, two up and one down, are one up. Clipped after each they would be next to nothing.
void ClippingIsDoneOnceAtTheEnd() {
  for (const auto parties : std::to_array<uint16_t>({4, 9})) {   // The sum of each for itself, and the one of all.
    Room room;
    room.delay = Delay();
    for (uint16_t leg = 0; leg < parties; ++leg) room.Join(leg, Law::kMu);
    room.RouteAll();
    const auto loud = [](uint16_t leg, size_t) -> int16_t { return leg == 3 ? 0 : leg == 2 ? -32124 : leg < 2 ? 32124 : 0; };
    for (size_t i = 0; i < kWarmUpFrames; ++i) room.Step(loud);
    CHECK(room.HeardAsSaid());
    CHECK(room.Heard(3, kWarmUpFrames - 1)[80] == 32124);
    const auto all = [](uint16_t, size_t) -> int16_t { return -32124; };
    for (size_t i = 0; i < kWarmUpFrames; ++i) room.Step(all);
    CHECK(room.HeardAsSaid());
    CHECK(room.Heard(3, 2 * kWarmUpFrames - 1)[80] == -32124);
  }
}

// One pays, its mask armed; some hear it masked, some openly, and all hear others besides. Whoever hears it openly hears the
// rest as if there were nobody else, and who hears it masked hears what a mask of its own makes of the same voice.
void APayerIsInNobodysMixButMasked() {
  size_t masked_frames = 0;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    std::mt19937_64 random(seed);
    Room room;
    room.delay = Delay();
    const auto parties = static_cast<uint16_t>(6 + random() % 8);
    const auto payer = static_cast<uint16_t>(random() % parties);
    for (uint16_t leg = 0; leg < parties; ++leg) room.Join(leg, Law::kMu);
    Noise noise(seed);
    MaskLine line;
    bool is_armed = false;
    Frame masked{};
    const auto step = [&] {
      room.Step(noise);
      if (!is_armed && !room.bench.Events(EventKind::kMaskChanged).empty()) {
        is_armed = true;
        line.Reset(MaskFill::kSilence);
        line.ArmSilent();
      }
      if (is_armed) line.Process(room.Said(payer)->data(), masked.data());
    };
    const auto heard = [&](const Bench::Pair& route) -> const Frame* {
      if (route.from != payer) return room.Said(route.from);
      if (!route.masked || !is_armed) return nullptr;
      return &masked;
    };
    for (size_t i = 0; i < kWarmUpFrames; ++i) step();
    room.Route(RandomMatrix(room, random));
    room.bench.Order(payer, Command::Kind::kBeginPayment);
    Command arm;
    arm.kind = Command::Kind::kArmMask;
    arm.mask.fill = MaskFill::kSilence;
    room.bench.Order(payer, arm);
    size_t wrong = 0;
    for (size_t i = 0; i < 120; ++i) {
      const bool was_armed = is_armed;
      const bool is_changed = i % 5 == 0;
      if (i % 10 == 5) room.Route(RandomMatrix(room, random));
      if (i % 20 == 10 && room.parties.size() > 3) {     // Who leaves gives his place, and his rows, to another.
        auto leaving = room.parties.begin();
        std::advance(leaving, static_cast<int64_t>(random() % room.parties.size()));
        if (leaving->first != payer) room.Leave(leaving->first);
      }
      step();
      wrong += room.HeardAsReference(heard, is_changed || is_armed != was_armed ? kFadeSamples : 0) ? 0u : 1u;
      masked_frames += is_armed ? 1u : 0u;
    }
    CHECK(is_armed);
    if (wrong != 0) std::fprintf(stderr, "payer, seed %llu: %zu frames wrong\n", static_cast<unsigned long long>(seed), wrong);
    CHECK(wrong == 0);
  }
  CHECK(masked_frames > 500);
}

size_t KeysIn(const std::vector<int16_t>& samples) {
  DtmfDetector detector;
  size_t keys = 0;
  detector.Feed(samples, [&](const InbandPress& press) { keys += press.begins ? 1u : 0u; });
  return keys;
}

// In a call of six, everybody routed to everybody, with quiet voices in it: no digit of the payer's in any ear, open or masked.
void NoDigitOfAPayerIsInAnybodysEar() {
  constexpr size_t kPresses = 64;
  for (const bool pays : {false, true}) {
    PressMaker maker(5, {});
    const Presses presses = maker.Make({.name = "keys", .on_ms = 80, .off_ms = 80}, kPresses);
    Room room;
    room.delay = Delay();
    for (uint16_t leg = 0; leg < 6; ++leg) room.Join(leg, Law::kMu);
    std::vector<Bench::Pair> routes;
    for (uint16_t from = 0; from < 6; ++from) {
      for (uint16_t to = 0; to < 6; ++to) {
        if (from != to) routes.push_back({from, to, from == 0 && to % 2 == 0});
      }
    }
    room.Route(routes);
    if (pays) {
      room.bench.Order(0, Command::Kind::kBeginPayment);
      Command arm;
      arm.kind = Command::Kind::kArmMask;
      room.bench.Order(0, arm);
    }
    std::mt19937_64 random(9);
    const size_t start = 60 * kFrameSamples;            // The mask is proven by then.
    const auto voice = [&](uint16_t leg, size_t at) -> int16_t {
      if (leg != 0) return static_cast<int16_t>(static_cast<int16_t>(random()) / 256);
      return at < start || at - start >= presses.samples.size() ? int16_t{0} : presses.samples[at - start];
    };
    while (room.steps * kFrameSamples < start + presses.samples.size() + 20 * kFrameSamples) room.Step(voice);
    for (uint16_t leg = 1; leg < 6; ++leg) {
      const size_t keys = KeysIn(room.Heard(leg));
      if (pays) CHECK(keys == 0);
      if (!pays) CHECK(keys >= kPresses * 9 / 10);      // The same ears, had he not been paying.
      if (pays) CHECK(room.bench.CountSent(leg, 101) == 0);
    }
    if (pays) CHECK(room.bench.Events(EventKind::kFieldKey).size() >= kPresses * 9 / 10 * 12 / 16);   // A to D are no keys.
  }
}

// The largest step of the slope: a click is a step of the wave itself.
int32_t RoughestIn(const std::vector<int16_t>& samples) {
  int32_t most = 0;
  for (size_t n = 2; n < samples.size(); ++n) most = std::max(most, std::abs(samples[n] - 2 * samples[n - 1] + samples[n - 2]));
  return most;
}

constexpr uint16_t kComes = 20;

// Two talk, a third comes, goes, is put on hold and taken off, each at the worst moment: at the height of its wave.
void NobodyComesOrGoesWithAClick() {
  // 2,000 at 200 Hz bends by 49, a fade of it by 50, µ-law up to 4,063 by at most 4 halves of its step of 128; a step is 2,000.
  constexpr int32_t kRoughestMax = 600;
  const auto voice = [](uint16_t leg, size_t at) -> int16_t {
    const double hz = leg == 0 ? 150 : 200;   // A frame of 20 ms has whole waves: all its ends are alike, and at a height.
    const double height = leg == 0 ? 1000 : leg == 2 || leg == kComes ? 2000 : 200;
    return static_cast<int16_t>(height * std::cos(2 * std::numbers::pi * hz * static_cast<double>(at) / 8000));
  };
  enum Change { kNone, kRouteOff, kRouteOn, kClose, kHold, kPays, kJoins };
  for (const auto parties : std::to_array<uint16_t>({3, 6})) {
    for (const Change change : {kNone, kRouteOff, kRouteOn, kClose, kHold, kPays, kJoins}) {
      Room room;
      room.delay = Delay();
      for (uint16_t leg = 0; leg < parties; ++leg) room.Join(leg, Law::kMu);
      const auto without = [&] {
        std::vector<Bench::Pair> routes;
        for (uint16_t from = 0; from < parties; ++from) {
          for (uint16_t to = 0; to < parties; ++to) {
            if (from != to && from != 2 && to != 2 && (from == 0 || to == 0)) routes.push_back({from, to});
          }
        }
        return routes;
      };
      std::vector<Bench::Pair> with = without();
      for (uint16_t to = 0; to < parties; ++to) {
        if (to != 2) with.push_back({2, to});
      }
      room.Route(change == kRouteOn ? without() : with);
      for (size_t i = 0; i < 2 * kWarmUpFrames; ++i) room.Step(voice);
      if (change == kRouteOff) room.Route(without());
      if (change == kRouteOn) room.Route(with);
      if (change == kClose) room.Leave(2);
      if (change == kPays) room.bench.Order(2, Command::Kind::kBeginPayment);
      if (change == kHold) {
        Command held;
        held.kind = Command::Kind::kUpdateLeg;
        held.media.remote = Endpoint{4, 40004, {127, 0, 0, 1}};
        held.media.receive_event_payload_type = held.media.send_event_payload_type = 101;
        held.media.receive = held.media.send = false;
        room.bench.Order(2, held);
      }
      if (change == kJoins) {
        room.Join(kComes, Law::kMu);       // In the middle of a word.
        with.push_back({kComes, 0});
        room.Route(with);
      }
      const size_t quiet = kWarmUpFrames;   // Before: what came when the call began.
      for (size_t i = 0; i < kWarmUpFrames; ++i) room.Step(voice);
      for (const auto& [leg, party] : room.parties) {
        if (leg == 2 || party.frames < 2 * kWarmUpFrames) continue;
        const int32_t roughest = RoughestIn(room.Heard(leg, quiet));
        if (roughest > kRoughestMax) {
          std::fprintf(stderr, "change %d of %u: leg %u hears a step of %d\n", change, parties, leg, roughest);
        }
        CHECK(roughest <= kRoughestMax);
      }
    }
  }
}

// A frame's 200 Hz is four waves: what is cut there without a fade is cut at its height. The test above would fail.
void AStepIsHeardAsOne() {
  std::vector<int16_t> cut(320, 0);
  for (size_t n = 0; n < 160; ++n) {
    cut[n] = static_cast<int16_t>(2000 * std::cos(2 * std::numbers::pi * 200 * static_cast<double>(n) / 8000));
  }
  CHECK(RoughestIn(cut) > 1500);
}

void APromptIsHeardByOnePartyAlone() {
  Room room;
  room.delay = Delay();
  for (uint16_t leg = 0; leg < 5; ++leg) room.Join(leg, Law::kMu);
  room.RouteAll();
  Noise noise(3);
  for (size_t i = 0; i < kWarmUpFrames; ++i) room.Step(noise);
  constexpr int16_t kLevel = 3000;
  auto recording = std::make_unique<int16_t[]>(1600);
  std::fill_n(recording.get(), 1600, kLevel);
  Command play;
  play.kind = Command::Kind::kPlay;
  play.count = 1;
  play.recordings[0] = room.bench.recordings.Add(std::move(recording), 1600);
  room.bench.Order(1, play);
  for (size_t i = 0; i < 10; ++i) {
    room.Step(noise);
    for (const auto& [to, party] : room.parties) {
      auto sum = room.Reference(to, [&](const Bench::Pair& route) { return room.Said(route.from); });
      if (to == 1) for (double& sample : sum) sample += kLevel;
      bool is_right = true;
      for (size_t n = 0; n < kFrameSamples; ++n) is_right = is_right && party.heard.back()[n] == Room::CodeOf(party.law, sum[n]);
      CHECK(is_right);
    }
  }
  room.Step(noise);
  CHECK(room.HeardAsSaid());
}

// Music for one party, again and again, while the others talk; another recording takes its place without a click.
void MusicGoesOnUntilItIsStopped() {
  Room room;
  room.delay = Delay();
  for (uint16_t leg = 0; leg < 3; ++leg) room.Join(leg, Law::kMu);
  room.Route({{0, 1}, {1, 0}});
  const auto quiet = [](uint16_t, size_t) -> int16_t { return 0; };
  for (size_t i = 0; i < kWarmUpFrames; ++i) room.Step(quiet);
  const auto tune = [&](size_t samples, double height) {
    auto made = std::make_unique<int16_t[]>(samples);
    for (size_t n = 0; n < samples; ++n) {
      made[n] = static_cast<int16_t>(height * std::sin(2 * std::numbers::pi * 160 * static_cast<double>(n) / 8000));
    }
    return room.bench.recordings.Add(std::move(made), samples);
  };
  Command play;
  play.kind = Command::Kind::kPlay;
  play.count = 2;
  play.recordings[0] = tune(2000, 2000);              // Whole waves, and no whole frames.
  play.recordings[1] = tune(1200, 1500);
  play.loops = true;
  play.request = 7;
  room.bench.Order(2, play);
  for (size_t i = 0; i < 101; ++i) room.Step(quiet);    // To the height of a wave.
  const std::vector<int16_t> heard = room.Heard(2, kWarmUpFrames);
  CHECK(RoughestIn(heard) < 600);
  bool comes_again = true;
  for (size_t n = 0; n + 3200 < heard.size(); ++n) comes_again = comes_again && heard[n] == heard[n + 3200];
  CHECK(comes_again && heard[1000 + 10] != 0);
  CHECK(room.bench.Events(EventKind::kPlayEnded).empty());
  const std::vector<int16_t> other = room.Heard(1);
  CHECK(std::all_of(other.begin(), other.end(), [](int16_t sample) { return sample == 0; }));

  play.loops = false;
  play.count = 1;
  play.recordings[0] = play.recordings[1];
  play.request = 8;
  room.bench.Order(2, play);
  for (size_t i = 0; i < 20; ++i) room.Step(quiet);
  CHECK(RoughestIn(room.Heard(2, kWarmUpFrames)) < 600);
  const auto ended = room.bench.Events(EventKind::kPlayEnded);
  CHECK(ended.size() == 2 && ended[0].request == 7 && ended[0].code == 2 && ended[1].request == 8 && ended[1].code == 0);
}

void ALoopEndsAfterAnHour() {
  const std::vector<int16_t> tune(1600, 1000);
  const std::vector<int16_t> nothing;
  Player player;
  const std::array<Recording, 1> list{Recording(tune)};
  player.Start(list, true);
  uint32_t frames = 0;
  for (VoiceSum sum{}; frames <= kLoopFramesMax && player.MixInto(sum.data()); ++frames) sum.fill(0);
  CHECK(frames == kLoopFramesMax);
  CHECK(!player.IsPlaying());
  const std::array<Recording, 1> empty{Recording(nothing)};
  player.Start(empty, true);
  VoiceSum sum{};
  (void)player.MixInto(sum.data());
  CHECK(!player.IsPlaying());
}

// Power of `hz` in the samples, as an amplitude.
double AmplitudeAt(const std::vector<int16_t>& samples, double hz) {
  double re = 0;
  double im = 0;
  for (size_t n = 0; n < samples.size(); ++n) {
    const double phase = 2 * std::numbers::pi * hz * static_cast<double>(n) / 8000;
    re += samples[n] * std::cos(phase);
    im += samples[n] * std::sin(phase);
  }
  return 2 * std::hypot(re, im) / static_cast<double>(samples.size());
}

// Four codecs in one call, each with a tone of its own: each hears the three others at their height, and itself not at all.
void LegsOfAllCodecsHearEachOther() {
  constexpr Codec kCodecs[] = {Codec::kPcmu, Codec::kPcma, Codec::kG722, Codec::kOpus};
  constexpr uint8_t kTypes[] = {0, 8, 9, 111};
  constexpr double kHz[] = {300, 500, 900, 1400};
  constexpr double kAmplitude = 3000;
  Bench bench;
  std::vector<std::unique_ptr<AudioEncoder>> encoders;
  std::vector<std::unique_ptr<AudioDecoder>> decoders;
  std::vector<Bench::Pair> routes;
  for (uint16_t leg = 0; leg < 4; ++leg) {
    LegMedia media;
    media.codec = kCodecs[leg];
    media.send_payload_type = media.receive_payload_type = kTypes[leg];
    if (kCodecs[leg] == Codec::kOpus) media.event_clock_rate = 48000;
    bench.Open(leg, 0, media);
    encoders.push_back(MakeEncoder(kCodecs[leg]));
    decoders.push_back(MakeDecoder(kCodecs[leg]));
    for (uint16_t to = 0; to < 4; ++to) {
      if (to != leg) routes.push_back({leg, to});
    }
  }
  bench.Route(routes);
  constexpr size_t kFrames = 150;
  for (size_t k = 0; k < kFrames; ++k) {
    for (uint16_t leg = 0; leg < 4; ++leg) {
      std::array<int16_t, kFrameSamples> frame;
      for (size_t n = 0; n < kFrameSamples; ++n) {
        const double t = static_cast<double>(k * kFrameSamples + n) / 8000;
        frame[n] = static_cast<int16_t>(kAmplitude * std::sin(2 * std::numbers::pi * kHz[leg] * t));
      }
      std::vector<uint8_t> payload(kEncodedBytesMax);
      if (encoders[leg] != nullptr) {
        payload.resize(encoders[leg]->Encode(frame, payload.data()));
      } else {
        payload.resize(kFrameSamples);
        Encode(leg == 1 ? Law::kA : Law::kMu, frame, payload.data());
      }
      bench.Rtp(leg, kTypes[leg], static_cast<uint32_t>(k * kFrameSamples) * TimestampScale(kCodecs[leg]), payload);
    }
    bench.Run(20);
  }
  for (uint16_t leg = 0; leg < 4; ++leg) {
    std::vector<int16_t> heard;
    size_t packets = 0;
    for (const Sent& one : bench.sent) {
      if (one.leg != leg || (one.bytes[1] & 0x7f) != kTypes[leg]) continue;
      std::vector<int16_t> samples(kDecodedSamplesMax);
      const std::span payload(one.bytes.begin() + kRtpHeaderBytes, one.bytes.end());
      if (decoders[leg] != nullptr) {
        samples.resize(decoders[leg]->Decode(payload, samples.data()));
      } else {
        samples.clear();
        for (const uint8_t code : payload) samples.push_back(DecodeSample(leg == 1 ? Law::kA : Law::kMu, code));
      }
      if (++packets > 50) heard.insert(heard.end(), samples.begin(), samples.end());   // Steady by then.
    }
    heard.resize(heard.size() / 80 * 80);   // Whole waves of every tone.
    for (uint16_t from = 0; from < 4; ++from) {
      const double amplitude = AmplitudeAt(heard, kHz[from]);
      // 2 dB for what the codecs' low-pass and quantisation change; a voice of one's own would be there at full height.
      if (from != leg) CHECK(amplitude > kAmplitude * 0.79 && amplitude < kAmplitude * 1.26);
      if (from == leg) CHECK(amplitude < kAmplitude * 0.03);
    }
  }
}

std::vector<uint8_t> EventsTo(const Bench& bench, uint16_t leg, size_t from = 0) {
  std::vector<uint8_t> keys;
  for (size_t i = from; i < bench.sent.size(); ++i) {
    const Sent& one = bench.sent[i];
    const bool begins = one.leg == leg && (one.bytes[1] & 0x7f) == 101 && (one.bytes[1] & 0x80) != 0;   // Its first: the marker.
    if (begins) keys.push_back(one.bytes[kRtpHeaderBytes]);
  }
  return keys;
}

bool IsKeyDownAt(const Bench& bench, uint16_t leg, size_t from) {
  for (size_t i = from; i < bench.sent.size(); ++i) {
    if (bench.sent[i].leg == leg && (bench.sent[i].bytes[1] & 0x7f) == 101) return true;
  }
  return false;
}

// A key goes along its own leg's routes, to whoever is not paying, and its release ends no other's.
void KeysAreRelayedAlongRoutes() {
  using Keys = std::vector<uint8_t>;
  Bench bench;
  for (uint16_t leg = 0; leg < 5; ++leg) bench.Open(leg, 0);
  bench.Route({{0, 1}, {0, 2, true}, {3, 1}, {3, 0}, {4, 3}});
  bench.Press(0, 7);
  bench.Run(300);
  CHECK(EventsTo(bench, 1) == Keys{7});
  CHECK(EventsTo(bench, 2) == Keys{7});                 // Masked is open while nobody pays.
  CHECK(EventsTo(bench, 0).empty() && EventsTo(bench, 3).empty() && EventsTo(bench, 4).empty());

  // From the payment's beginning on: nothing of the payer's, and nothing to him.
  bench.Order(0, Command::Kind::kBeginPayment);
  bench.Press(0, 5);
  bench.Press(3, 9);
  bench.Run(300);
  CHECK((EventsTo(bench, 1) == Keys{7, 9}));
  CHECK(EventsTo(bench, 2) == Keys{7});
  CHECK(EventsTo(bench, 0).empty());
  bench.Order(0, Command::Kind::kEndPayment);

  // Two hold a key for the same ear: the later one goes on until its own release.
  const auto hold = [&](uint16_t leg, uint8_t event, uint16_t duration, uint8_t end) {
    const auto low = static_cast<uint8_t>(duration & 0xff);
    bench.Rtp(leg, 101, 700000u + leg, {event, static_cast<uint8_t>(10 | end), static_cast<uint8_t>(duration >> 8), low});
  };
  size_t from = bench.sent.size();
  hold(0, 1, 160, 0);
  bench.Run(100);
  hold(3, 2, 160, 0);
  bench.Run(100);
  hold(0, 1, 800, 0x80);
  hold(3, 2, 960, 0);
  bench.Run(100);
  CHECK((EventsTo(bench, 1, from) == Keys{1, 2}));
  from = bench.sent.size();
  bench.Run(40);
  CHECK(IsKeyDownAt(bench, 1, from));
  hold(3, 2, 1600, 0x80);
  bench.Run(100);
  from = bench.sent.size();
  bench.Run(100);
  CHECK(!IsKeyDownAt(bench, 1, from));

  // The route goes while the key is down: it is let go.
  bench.press_timestamp += 1'000'000;
  bench.Rtp(0, 101, 1'700'000, {4, 10, 0, 160});
  bench.Run(60);
  bench.Route({{3, 1}});
  bench.Run(100);
  from = bench.sent.size();
  bench.Run(40);
  CHECK(!IsKeyDownAt(bench, 1, from));
}

// Masked to open and back while the mask is armed and nobody pays: 60 ms apart, and no step between them.
void ARouteThatCrossesAMaskDoesNotClick() {
  Room room;
  room.delay = Delay();
  room.Join(0, Law::kMu);
  room.Join(1, Law::kMu);
  room.Route({{0, 1, true}});
  const auto voice = [](uint16_t leg, size_t at) -> int16_t {
    return leg == 0 ? static_cast<int16_t>(2000 * std::cos(2 * std::numbers::pi * 130 * static_cast<double>(at) / 8000)) : int16_t{0};
  };
  for (size_t i = 0; i < kWarmUpFrames; ++i) room.Step(voice);
  Command arm;
  arm.kind = Command::Kind::kArmMask;
  room.bench.Order(0, arm);
  for (size_t i = 0; i < 80; ++i) room.Step(voice);
  CHECK(room.bench.Events(EventKind::kMaskChanged).size() == 1);
  const size_t from = room.steps;
  for (const bool masked : {false, true, false}) {
    room.Route({{0, 1, masked}});
    for (size_t i = 0; i < 5; ++i) room.Step(voice);
  }
  CHECK(RoughestIn(room.Heard(1, from)) < 600);
  // Disarmed under a masked route it comes back to the voice as it is, and stays whole.
  room.Route({{0, 1, true}});
  for (size_t i = 0; i < 5; ++i) room.Step(voice);
  room.bench.Order(0, Command::Kind::kDisarmMask);
  for (size_t i = 0; i < 60; ++i) room.Step(voice);
  CHECK(room.bench.Events(EventKind::kMaskChanged).size() == 2);
  CHECK(room.HeardAsSaid());
}

void ThereIsRoomForThirtyTwo() {
  Bench bench;
  for (uint16_t leg = 0; leg < kLegsPerCallMax; ++leg) bench.Open(leg, 0);
  CHECK(bench.Events(EventKind::kAnswer).empty());
  Command routes;
  for (uint16_t leg = 1; leg < kLegsPerCallMax; ++leg) CHECK(routes.AddRoute(0, leg, false));
  CHECK(!routes.AddRoute(0, kLegsPerCallMax, false));
  CHECK(routes.count == kLegsPerCallMax);
}

}  // namespace

int main() {
  EverybodyHearsEverybodyElse();
  AnyMatrixIsHeardAsItIs();
  ClippingIsDoneOnceAtTheEnd();
  APayerIsInNobodysMixButMasked();
  NoDigitOfAPayerIsInAnybodysEar();
  NobodyComesOrGoesWithAClick();
  AStepIsHeardAsOne();
  APromptIsHeardByOnePartyAlone();
  MusicGoesOnUntilItIsStopped();
  ALoopEndsAfterAnHour();
  LegsOfAllCodecsHearEachOther();
  KeysAreRelayedAlongRoutes();
  ARouteThatCrossesAMaskDoesNotClick();
  ThereIsRoomForThirtyTwo();
  return hushtone::test::Finish();
}
