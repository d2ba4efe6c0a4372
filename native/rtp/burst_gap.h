// Which losses came together: RFC 3611 §4.7.2. A burst begins and ends with a packet that is missing, lost or discarded, and
// nowhere in it are Gmin packets received in a row; what is between bursts is a gap, in which packets may be missing alone.
// Told of every packet's fate in the order of the sequence numbers.
//
//   1 received, 0 lost, X discarded; 1*20: twenty of them. Nothing is missing before and behind (§4.7.2 takes it so).
//
//   packets                                    bursts  inThem  missing  gaps  missingInGaps
//   -----------------------------------------  ------  ------  -------  ----  -------------
//   1*64                                            0       0        0     1              0
//   1*20 0 1*20                                     0       0        0     1              1
//   1*20 X 1*16 0 1*20                              0       0        0     1              2
//   1*20 0 1*15 0 1*20                              1      17        2     2              0
//   1*20 0*2 1*20                                   1       2        2     2              0
//   1*20 0*3 1*16 0*2 1*20                          2       5        5     3              0
//   1*20 0*400 1*15 X 1*99                          1     416      401     2              0
//   1*20 0*2                                        1       2        2     1              0
//   1*20 0                                          0       0        0     1              1
//   1*4 0 1*18 X 1*3 X 1 0 1*4 0 1*18 X 1*10        1      12        4     2              2
//
//   The last row is the example of §4.7.2.
//
// DEVIATION RFC 3611 A.2: its test (`pkt >= gmin`), but counts of packets where the appendix estimates them from transitions of
// a Markov chain. §4.7.2 defines the figures by the counts; the chain gives them nearly, and calls the first loss of a stream
// a burst. Test: RunsTheTable.
#pragma once

#include <cstdint>

namespace hushtone {

constexpr uint32_t kGmin = 16;   // RFC 3611 §4.7.2 recommends it.

class BurstGap {
 public:
  struct Figures {
    uint32_t expected = 0, lost = 0, discarded = 0;
    uint32_t bursts = 0, burst_packets = 0, burst_missing = 0;
    uint32_t gaps = 0, gap_packets = 0, gap_missing = 0;
    uint32_t runs = 0;               // Of missing packets, each by itself or next to each other.
  };

  // So many of the packets that are told first were received before the stream, and are none of it.
  explicit BurstGap(uint32_t before = 0) : received_(0U - before) {}

  void Receive(uint32_t count = 1) { run_ += count; }
  void Lose(uint32_t count = 1) {
    lost_ += count;
    Miss(count);
  }
  void Discard() {
    ++discarded_;
    Miss(1);
  }
  // As if the stream ended here.
  Figures Measure() const;

 private:
  void Miss(uint32_t count);
  void Close();

  uint32_t run_ = 0;                 // Received in a row.
  uint32_t received_;                // Before those.
  uint32_t lost_ = 0, discarded_ = 0, runs_ = 0;
  uint32_t open_packets_ = 0;        // From the first to the last missing packet of what may become a burst.
  uint32_t open_missing_ = 0;
  uint32_t bursts_ = 0, burst_packets_ = 0, burst_missing_ = 0;
};

}  // namespace hushtone
