#include "rtp/rtcp_xr.h"

#include "base/bytes.h"

namespace hushtone {
namespace {

constexpr uint8_t kReferenceTime = 4;
constexpr uint8_t kDlrr = 5;
constexpr uint8_t kVoipMetrics = 7;
constexpr size_t kHeadBytes = 8;             // Of the packet; of a block it is 4.
constexpr size_t kReferenceBytes = 12;
constexpr size_t kDlrrBytes = 12;            // Of each answer, behind the block's head.
constexpr size_t kMetricsBytes = 36;
static_assert(kHeadBytes + kReferenceBytes + 4 + kDlrrBytes + kMetricsBytes == kXrBytesMax);

// §3: the length of a block counts its words but the first.
uint8_t* WriteBlockHead(uint8_t type, size_t bytes, uint8_t* out) {
  out[0] = type;
  out[1] = 0;
  WriteU16(out + 2, static_cast<uint16_t>(bytes / 4 - 1));
  return out;
}

//   0                   1                   2                   3
//   0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//  |     BT=7      |   reserved    |       block length = 8        |
//  |                        SSRC of source                         |
//  |   loss rate   | discard rate  | burst density |  gap density  |
//  |       burst duration          |         gap duration          |
//  |     round trip delay          |       end system delay        |
//  | signal level  |  noise level  |     RERL      |     Gmin      |
//  |   R factor    | ext. R factor |    MOS-LQ     |    MOS-CQ     |
//  |   RX config   |   reserved    |          JB nominal           |
//  |          JB maximum           |          JB abs max           |
void WriteMetrics(const VoipMetrics& from, uint8_t* out) {
  WriteBlockHead(kVoipMetrics, kMetricsBytes, out);
  WriteU32(out + 4, from.ssrc);
  out[8] = from.loss_rate;
  out[9] = from.discard_rate;
  out[10] = from.burst_density;
  out[11] = from.gap_density;
  WriteU16(out + 12, from.burst_ms);
  WriteU16(out + 14, from.gap_ms);
  WriteU16(out + 16, from.round_trip_ms);
  WriteU16(out + 18, from.end_system_delay_ms);
  out[20] = from.signal_level_dbm0;
  out[21] = from.noise_level_dbm0;
  out[22] = from.echo_return_loss_db;
  out[23] = from.gmin;
  out[24] = from.r_factor;
  out[25] = from.external_r_factor;
  out[26] = from.mos_lq;
  out[27] = from.mos_cq;
  out[28] = from.receiver;
  out[29] = 0;
  WriteU16(out + 30, from.buffer_nominal_ms);
  WriteU16(out + 32, from.buffer_max_ms);
  WriteU16(out + 34, from.buffer_limit_ms);
}

VoipMetrics ReadMetrics(const uint8_t* at) {
  VoipMetrics read;
  read.ssrc = ReadU32(at + 4);
  read.loss_rate = at[8];
  read.discard_rate = at[9];
  read.burst_density = at[10];
  read.gap_density = at[11];
  read.burst_ms = ReadU16(at + 12);
  read.gap_ms = ReadU16(at + 14);
  read.round_trip_ms = ReadU16(at + 16);
  read.end_system_delay_ms = ReadU16(at + 18);
  read.signal_level_dbm0 = at[20];
  read.noise_level_dbm0 = at[21];
  read.echo_return_loss_db = at[22];
  read.gmin = at[23];
  read.r_factor = at[24];
  read.external_r_factor = at[25];
  read.mos_lq = at[26];
  read.mos_cq = at[27];
  read.receiver = at[28];
  read.buffer_nominal_ms = ReadU16(at + 30);
  read.buffer_max_ms = ReadU16(at + 32);
  read.buffer_limit_ms = ReadU16(at + 34);
  return read;
}

void ReadBlock(uint8_t type, std::span<const uint8_t> block, uint32_t sender, uint32_t our_ssrc, XrSeen* seen) {
  if (type == kVoipMetrics && block.size() == kMetricsBytes) {
    const VoipMetrics metrics = ReadMetrics(block.data());
    if (metrics.ssrc != our_ssrc) return;
    seen->has_metrics = true;
    seen->metrics = metrics;
  } else if (type == kReferenceTime && block.size() == kReferenceBytes) {
    seen->has_reference = true;
    seen->reference_ssrc = sender;
    seen->reference_ntp = static_cast<uint64_t>(ReadU32(&block[4])) << 32 | ReadU32(&block[8]);
  } else if (type == kDlrr && block.size() % kDlrrBytes == 4) {
    for (size_t at = 4; at < block.size(); at += kDlrrBytes) {
      if (ReadU32(&block[at]) != our_ssrc) continue;
      seen->has_answer = true;
      seen->answer = {our_ssrc, ReadU32(&block[at + 4]), ReadU32(&block[at + 8])};
    }
  }
}

}  // namespace

size_t WriteXr(uint32_t ssrc, const XrToSend& blocks, uint8_t* out) {
  size_t at = kHeadBytes;
  if (blocks.reference_ntp != nullptr) {
    uint8_t* block = WriteBlockHead(kReferenceTime, kReferenceBytes, out + at);
    WriteU32(block + 4, static_cast<uint32_t>(*blocks.reference_ntp >> 32));
    WriteU32(block + 8, static_cast<uint32_t>(*blocks.reference_ntp));
    at += kReferenceBytes;
  }
  if (blocks.answer != nullptr) {
    uint8_t* block = WriteBlockHead(kDlrr, 4 + kDlrrBytes, out + at);
    WriteU32(block + 4, blocks.answer->ssrc);
    WriteU32(block + 8, blocks.answer->last_reference);
    WriteU32(block + 12, blocks.answer->delay);
    at += 4 + kDlrrBytes;
  }
  if (blocks.metrics != nullptr) {
    WriteMetrics(*blocks.metrics, out + at);
    at += kMetricsBytes;
  }
  out[0] = 0x80;
  out[1] = kRtcpXr;
  WriteU16(out + 2, static_cast<uint16_t>(at / 4 - 1));
  WriteU32(out + 4, ssrc);
  return at;
}

bool ParseXr(std::span<const uint8_t> packet, uint32_t our_ssrc, XrSeen* seen) {
  size_t end = packet.size();
  if (end < kHeadBytes) return false;
  // RFC 3550 §6.4.1: the last octet of padding says how much of it there is, a multiple of four.
  if ((packet[0] & 0x20) != 0) {
    const size_t padding = packet[end - 1];
    if (padding == 0 || padding % 4 != 0 || padding > end - kHeadBytes) return false;
    end -= padding;
  }
  const uint32_t sender = ReadU32(&packet[4]);
  size_t at = kHeadBytes;
  while (at < end) {
    if (at + 4 > end) return false;
    const size_t length = size_t{4} * (size_t{1} + ReadU16(&packet[at + 2]));
    if (at + length > end) return false;
    ReadBlock(packet[at], packet.subspan(at, length), sender, our_ssrc, seen);
    at += length;
  }
  return true;
}

}  // namespace hushtone
