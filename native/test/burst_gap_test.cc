// The table in burst_gap.h, row by row, and the fractions of RFC 3611 §4.7.2's example.
#include "rtp/burst_gap.h"

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "check.h"

using namespace hushtone;

namespace {

// "1*20 0 X": how often, where it is not once.
bool Tell(const std::string& token, BurstGap* machine) {
  const size_t star = token.find('*');
  const auto count = star == std::string::npos ? 1U : static_cast<uint32_t>(std::strtoul(token.c_str() + star + 1, nullptr, 10));
  if (token[0] == '1') machine->Receive(count);
  if (token[0] == '0') machine->Lose(count);
  if (token[0] == 'X') machine->Discard();
  return token[0] == '1' || token[0] == '0' || (token[0] == 'X' && count == 1);
}

// A row is packets, then two or more blanks, then five numbers.
bool RunRow(const std::string& line, size_t packets_end) {
  BurstGap machine;
  std::istringstream packets(line.substr(0, packets_end));
  for (std::string token; packets >> token;) {
    if (!Tell(token, &machine)) return false;
  }
  uint32_t bursts = 0, in_them = 0, missing = 0, gaps = 0, missing_in_gaps = 0;
  std::istringstream numbers(line.substr(packets_end));
  if (!(numbers >> bursts >> in_them >> missing >> gaps >> missing_in_gaps)) return false;
  const BurstGap::Figures figures = machine.Measure();
  CHECK(figures.bursts == bursts);
  CHECK(figures.burst_packets == in_them && figures.burst_missing == missing);
  CHECK(figures.gaps == gaps && figures.gap_missing == missing_in_gaps);
  CHECK(figures.burst_packets + figures.gap_packets == figures.expected);
  CHECK(figures.burst_missing + figures.gap_missing == figures.lost + figures.discarded);
  return true;
}

void RunsTheTable() {
  std::ifstream header(HUSHTONE_SOURCE_DIR "/rtp/burst_gap.h");
  const std::string start = "//   ";
  int rows = 0;
  for (std::string line; std::getline(header, line);) {
    if (line.rfind(start + "1*", 0) != 0) continue;
    const std::string row = line.substr(start.size());
    CHECK(RunRow(row, row.find("  ")));
    ++rows;
  }
  CHECK(rows == 10);
}

// By hand: 64 packets of 10 ms, three lost and three discarded. In the burst 4 of 12, in the gaps 2 of 23 + 29.
void HasTheFiguresOfTheExample() {
  BurstGap machine;
  for (const char* token : {"1*4", "0", "1*18", "X", "1*3", "X", "1", "0", "1*4", "0", "1*18", "X", "1*10"}) Tell(token, &machine);
  const BurstGap::Figures figures = machine.Measure();
  CHECK(figures.expected == 64 && figures.lost == 3 && figures.discarded == 3);
  CHECK(256 * figures.lost / figures.expected == 12);                    // As the RFC says.
  CHECK(256 * figures.burst_missing / figures.burst_packets == 85);      // A third.
  CHECK(256 * figures.gap_missing / figures.gap_packets == 9);           // A twenty-sixth.
  CHECK(10 * figures.burst_packets / figures.bursts == 120 && 10 * figures.gap_packets / figures.gaps == 260);
  CHECK(figures.runs == 6);
}

void CountsNothingOfWhatStoodBefore() {
  BurstGap machine(63);
  machine.Receive(63);
  machine.Lose();
  machine.Lose();
  machine.Receive(8);
  const BurstGap::Figures figures = machine.Measure();
  CHECK(figures.expected == 10 && figures.lost == 2 && figures.runs == 1);
  CHECK(figures.bursts == 1 && figures.burst_packets == 2 && figures.gap_packets == 8);
  CHECK(BurstGap().Measure().gaps == 0 && BurstGap().Measure().expected == 0);
}

}  // namespace

int main() {
  RunsTheTable();
  HasTheFiguresOfTheExample();
  CountsNothingOfWhatStoodBefore();
  return test::Finish();
}
