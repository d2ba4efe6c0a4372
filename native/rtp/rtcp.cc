#include "rtp/rtcp.h"

#include <cstring>

#include "base/bytes.h"

namespace hushtone {
namespace {

constexpr uint8_t kSenderReport = 200;
constexpr uint8_t kReceiverReport = 201;
constexpr uint8_t kSdes = 202;
constexpr uint8_t kBye = 203;
constexpr size_t kReportBytes = 24;
constexpr size_t kSenderInfoBytes = 20;
constexpr size_t kCnameBytesMax = 32;

void WriteHead(uint8_t* out, uint8_t count, uint8_t type, size_t bytes) {
  out[0] = static_cast<uint8_t>(0x80 | count);
  out[1] = type;
  WriteU16(out + 2, static_cast<uint16_t>(bytes / 4 - 1));
}

ReceptionReport ReadBlock(const uint8_t* at) {
  ReceptionReport report;
  report.ssrc = ReadU32(at);
  report.fraction_lost = at[4];
  const uint32_t lost = ReadU32(at + 4) & 0xffffff;
  report.packets_lost = (lost & 0x800000) != 0 ? static_cast<int32_t>(lost | 0xff000000) : static_cast<int32_t>(lost);
  report.highest_sequence = ReadU32(at + 8);
  report.jitter_ts = ReadU32(at + 12);
  report.last_sr = ReadU32(at + 16);
  report.delay_since_last_sr = ReadU32(at + 20);
  return report;
}

}  // namespace

size_t WriteReport(uint32_t ssrc, const SenderInfo* sender, const ReceptionReport* report, std::span<const char> cname,
                   uint8_t* out) {
  size_t at = 8;
  WriteU32(out + 4, ssrc);
  if (sender != nullptr) {
    WriteU32(out + at, static_cast<uint32_t>(sender->ntp >> 32));
    WriteU32(out + at + 4, static_cast<uint32_t>(sender->ntp));
    WriteU32(out + at + 8, sender->rtp_timestamp);
    WriteU32(out + at + 12, sender->packets);
    WriteU32(out + at + 16, sender->octets);
    at += kSenderInfoBytes;
  }
  if (report != nullptr) {
    WriteU32(out + at, report->ssrc);
    WriteU32(out + at + 4, static_cast<uint32_t>(report->packets_lost) & 0xffffff);
    out[at + 4] = report->fraction_lost;
    WriteU32(out + at + 8, report->highest_sequence);
    WriteU32(out + at + 12, report->jitter_ts);
    WriteU32(out + at + 16, report->last_sr);
    WriteU32(out + at + 20, report->delay_since_last_sr);
    at += kReportBytes;
  }
  WriteHead(out, report != nullptr ? 1 : 0, sender != nullptr ? kSenderReport : kReceiverReport, at);

  // §6.5: one chunk, CNAME (item 1), closed by one to four zeros so that it ends on a word.
  const size_t name = cname.size() < kCnameBytesMax ? cname.size() : kCnameBytesMax;
  uint8_t* sdes = out + at;
  WriteU32(sdes + 4, ssrc);
  sdes[8] = 1;
  sdes[9] = static_cast<uint8_t>(name);
  std::memcpy(sdes + 10, cname.data(), name);
  size_t end = 10 + name;
  do {
    sdes[end++] = 0;
  } while (end % 4 != 0);
  WriteHead(sdes, 1, kSdes, end);
  return at + end;
}

size_t WriteBye(uint32_t ssrc, uint8_t* out) {
  WriteHead(out, 1, kBye, 8);
  WriteU32(out + 4, ssrc);
  return 8;
}

bool ParseRtcp(std::span<const uint8_t> bytes, uint32_t our_ssrc, RtcpSeen* seen) {
  *seen = RtcpSeen{};
  RtcpSeen found;
  size_t at = 0;
  while (at < bytes.size()) {
    if (at + 4 > bytes.size() || (bytes[at] >> 6) != 2) return false;
    const size_t length = size_t{4} * (size_t{1} + ReadU16(&bytes[at + 2]));
    if (at + length > bytes.size()) return false;
    const uint8_t type = bytes[at + 1];
    const size_t blocks = bytes[at] & 0x1f;
    if (type == kSenderReport || type == kReceiverReport) {
      size_t block = at + 8;
      if (type == kSenderReport) {
        if (length < 8 + kSenderInfoBytes) return false;
        found.has_sender_report = true;
        found.ntp = static_cast<uint64_t>(ReadU32(&bytes[at + 8])) << 32 | ReadU32(&bytes[at + 12]);
        block += kSenderInfoBytes;
      }
      if (block + blocks * kReportBytes > at + length) return false;
      for (size_t i = 0; i < blocks; ++i, block += kReportBytes) {
        const ReceptionReport report = ReadBlock(&bytes[block]);
        if (report.ssrc != our_ssrc) continue;
        found.has_report_on_us = true;
        found.report = report;
      }
    } else if (type == kBye) {
      if (length < 4 + 4 * blocks) return false;
      found.has_bye = true;
    } else if (type == kRtcpXr) {
      if (!ParseXr(bytes.subspan(at, length), our_ssrc, &found.xr)) return false;
    }
    at += length;
  }
  if (bytes.empty()) return false;
  *seen = found;
  return true;
}

}  // namespace hushtone
