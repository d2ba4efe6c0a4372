#include "leg/voice_quality.h"

#include <algorithm>
#include <cmath>

#include "rtp/rtcp_xr.h"

namespace hushtone {
namespace {

constexpr double kBest = 93.2;                    // G.107 §7.7.
constexpr double kUnnoticedMs = 100;              // G.107 §7.4, mT of the default class of sensitivity to delay.
constexpr double kLossRobustness = 25.1;          // G.113 Appendix I: Bpl.
constexpr double kEquipment = 0;                  // Likewise: Ie.

// G.107 §7.4, with sT = 1.
double DelayImpairment(double one_way_ms) {
  if (one_way_ms <= kUnnoticedMs) return 0;
  const double x = std::log2(one_way_ms / kUnnoticedMs);
  const auto root = [](double value) { return std::pow(1 + std::pow(value, 6), 1.0 / 6); };
  return 25 * (root(x) - 3 * root(x / 3) + 2);
}

// G.107 §7.5.
double LossImpairment(const BurstGap::Figures& heard) {
  const double missing = static_cast<double>(heard.lost) + heard.discarded;
  if (missing == 0 || heard.runs == 0 || heard.expected == 0) return kEquipment;
  const double share = missing / heard.expected;
  // Random losses make runs of 1 / (1 - share) packets. Fewer in a row than that is taken as random.
  const double burst_ratio = std::max(1.0, missing / heard.runs * (1 - share));
  const double percent = 100 * share;
  return kEquipment + (95 - kEquipment) * percent / (percent / burst_ratio + kLossRobustness);
}

// G.107 Annex B.
uint8_t MosTimesTen(double rating) {
  const double r = std::clamp(rating, 0.0, 100.0);
  const double mos = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6;
  return static_cast<uint8_t>(std::lround(10 * std::max(1.0, mos)));
}

}  // namespace

VoiceQuality EstimateQuality(Codec codec, const BurstGap::Figures& heard, uint32_t one_way_ms) {
  if (!IsG711(codec) || heard.expected == 0) return {kNotMeasured, kNotMeasured, kNotMeasured};
  const double listening = kBest - LossImpairment(heard);
  const double rating = listening - DelayImpairment(one_way_ms);
  const auto r_factor = static_cast<uint8_t>(std::lround(std::clamp(rating, 0.0, 100.0)));
  return {r_factor, MosTimesTen(listening), MosTimesTen(rating)};
}

}  // namespace hushtone
