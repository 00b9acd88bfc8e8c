// SPDX-License-Identifier: Apache-2.0
#include "cli/top/top.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "cli/text/table.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

constexpr size_t kBarWidth = 10;

template <typename Map>
uint64_t Sum(const Map& counts) {
  uint64_t sum = 0;
  for (const auto& [reason, count] : counts) sum += count;
  return sum;
}

std::string NameOf(const v1::PairStats::End& end) {
  if (end.vm().empty()) return "(other)";
  return end.host() ? absl::StrCat("host(", ShortVmName(end.vm()), ")") : ShortVmName(end.vm());
}

std::string Bar(double value, double most) {
  const double part = most > 0 ? value / most : 0;
  return std::string(static_cast<size_t>(std::lround(part * static_cast<double>(kBarWidth))), '#');
}

}  // namespace

// A number that has become smaller belongs to another start of the daemon.
void Top::Rate(const std::string& uid, const Counts& now, double seconds, ByUid& seen, TopRow& row) const {
  seen[uid] = now;
  const auto before = last_.find(uid);
  if (before == last_.end() || seconds <= 0) return;
  const auto rate = [&](uint64_t Counts::*field) {
    const uint64_t was = before->second.*field, is = now.*field;
    return is > was ? static_cast<double>(is - was) / seconds : 0;
  };
  row.receive = rate(&Counts::receive);
  row.transmit = rate(&Counts::transmit);
  row.connects = rate(&Counts::connects);
  row.stalls = rate(&Counts::stalls);
  row.drops = rate(&Counts::drops);
}

std::vector<TopRow> Top::LookAtVms(const v1::ListVmsResponse& vms, double seconds) {
  std::vector<TopRow> rows;
  ByUid seen;
  for (const v1::Vm& vm : vms.vms()) {
    const v1::Stats& stats = vm.status().stats();
    const v1::FromGuestStats& from = stats.from_guest();
    const v1::ToGuestStats& to = stats.to_guest();
    const uint64_t accepted = from.connects_accepted() + to.connects_accepted(), ended = Sum(stats.closes());
    TopRow row{.name = ShortVmName(vm.name()), .state = v1::VmStatus::State_Name(vm.status().state())};
    // Read one by one: one may have ended in between.
    row.connections = accepted > ended ? accepted - ended : 0;
    Rate(vm.uid(),
         {.receive = to.host_bytes() + to.sibling_bytes(),
          .transmit = from.host_bytes() + from.sibling_bytes(),
          .connects = accepted + Sum(from.connects_refused()) + Sum(to.connects_refused()),
          .stalls = from.credit_stalls() + to.credit_stalls(),
          .drops = from.malformed_chains() + to.malformed_chains() + from.dropped_spoofed_source() +
                   from.dropped_reserved_bits() + from.dropped_reset_of_reset()},
         seconds, seen, row);
    rows.push_back(std::move(row));
  }
  last_ = std::move(seen);
  return rows;
}

std::vector<TopRow> Top::LookAtPairs(const v1::StatsReport& report, double seconds) {
  std::vector<TopRow> rows;
  ByUid seen;
  for (const v1::PairStats& pair : report.pairs()) {
    const v1::PairStats::End &initiator = pair.initiator(), &target = pair.target();
    TopRow row{.name = absl::StrCat(NameOf(initiator), " > ", NameOf(target)), .connections = pair.open_connections()};
    Rate(absl::StrCat(initiator.vm_uid(), initiator.host() ? "+" : "-", target.vm_uid(), target.host() ? "+" : "-"),
         {.receive = pair.to_initiator().bytes(),
          .transmit = pair.to_target().bytes(),
          .connects = pair.connects_accepted() + pair.connects_refused(),
          .stalls = pair.to_initiator().credit_stalls() + pair.to_target().credit_stalls()},
         seconds, seen, row);
    rows.push_back(std::move(row));
  }
  last_ = std::move(seen);
  return rows;
}

const std::vector<std::string>& TopKeys() {
  static const auto& keys =
      *new std::vector<std::string>{"bytes", "receive", "transmit", "conns", "connects", "stalls", "drops", "name"};
  return keys;
}

void SortTop(const std::string& key, std::vector<TopRow>& rows) {
  const auto value = [&key](const TopRow& row) -> double {
    if (key == "receive") return row.receive;
    if (key == "transmit") return row.transmit;
    if (key == "conns") return static_cast<double>(row.connections);
    if (key == "connects") return row.connects;
    if (key == "stalls") return row.stalls;
    if (key == "drops") return row.drops;
    return key == "name" ? 0 : row.receive + row.transmit;
  };
  std::sort(rows.begin(), rows.end(), [&](const TopRow& a, const TopRow& b) {
    const double of_a = value(a), of_b = value(b);
    return of_a != of_b ? of_a > of_b : a.name < b.name;
  });
}

std::string RenderTop(const std::vector<TopRow>& rows, bool with_headers) {
  double most = 0;
  for (const TopRow& row : rows) most = std::max(most, row.receive + row.transmit);
  const bool states = std::any_of(rows.begin(), rows.end(), [](const TopRow& row) { return !row.state.empty(); });
  std::vector<std::string> headers{"NAME", "CONNS", "RX/s", "TX/s", "", "CONNECTS/s", "STALLS/s", "DROPS/s"};
  headers[4] = "BYTES";
  if (states) headers.insert(headers.begin() + 1, "STATE");
  Table table(std::move(headers));
  for (const TopRow& row : rows) {
    std::vector<std::string> cells{row.name,
                                   absl::StrCat(row.connections),
                                   ShortNumber(row.receive),
                                   ShortNumber(row.transmit),
                                   Bar(row.receive + row.transmit, most),
                                   ShortNumber(row.connects),
                                   ShortNumber(row.stalls),
                                   ShortNumber(row.drops)};
    if (states) cells.insert(cells.begin() + 1, row.state);
    table.Add(std::move(cells));
  }
  return table.Render(with_headers);
}

std::string ShortNumber(double number) {
  if (number == 0) return "0";
  if (number < 9.95) return absl::StrFormat("%.1f", number);
  if (number < 999.5) return absl::StrFormat("%.0f", number);
  for (const char unit : {'K', 'M', 'G', 'T', 'P'}) {
    number /= 1000;
    if (number < 9.95) return absl::StrFormat("%.1f%c", number, unit);
    if (number < 999.5) return absl::StrFormat("%.0f%c", number, unit);
  }
  return absl::StrFormat("%.0fE", number / 1000);
}

std::string FitScreen(const std::string& text, size_t columns, size_t lines) {
  std::string out;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (lines == 0) break;
    size_t bytes = 0;
    // UTF-8: a character ends where the next begins.
    for (size_t characters = 0; bytes < line.size(); ++bytes) {
      if ((static_cast<unsigned char>(line[bytes]) & 0xc0) != 0x80 && ++characters > columns) break;
    }
    absl::StrAppend(&out, line.substr(0, bytes), "\n");
    --lines;
  }
  return out;
}

}  // namespace kinsock
