// SPDX-License-Identifier: Apache-2.0
#include "cli/view/vm_view.h"

#include <ctime>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "cli/text/duration.h"
#include "cli/text/output.h"

namespace kinsock {
namespace {

constexpr char kPrefix[] = "vms/";

std::string Groups(const v1::Vm& vm) {
  return vm.spec().groups().empty() ? "default" : absl::StrJoin(vm.spec().groups(), "+");
}

// "1:9001+9002": the CID that the guest's calls go to, and the ports of the host that stand for the guest's.
std::string Forward(const v1::Vm& vm) {
  if (!vm.spec().has_vsock_proxy()) return "";
  const v1::VsockProxy& proxy = vm.spec().vsock_proxy();
  return absl::StrCat(proxy.forward_cid(), proxy.listen_ports().empty() ? "" : ":",
                      absl::StrJoin(proxy.listen_ports(), "+"));
}

std::string Network(const v1::Vm& vm) {
  return vm.spec().network().empty() ? "default" : std::string(absl::StripPrefix(vm.spec().network(), "networks/"));
}

// "Degraded:FormerCid", "QuotaLimited:..."; empty: nothing is wrong with it.
std::string Trouble(const v1::Vm& vm) {
  std::vector<std::string> troubles;
  for (const v1::Condition& condition : vm.status().conditions()) {
    const bool is_bad = condition.type() == "Degraded" || condition.type() == "QuotaLimited";
    if (!is_bad || condition.status() != v1::Condition::TRUE) continue;
    troubles.push_back(condition.type() + (condition.reason().empty() ? "" : ":" + condition.reason()));
  }
  return absl::StrJoin(troubles, ",");
}

std::string ShortStatus(v1::Condition::Status status) {
  if (status == v1::Condition::UNKNOWN) return "unknown";
  return status == v1::Condition::TRUE ? "yes" : "no";
}

std::string Holds(const v1::Vm& vm, const std::string& type) {
  for (const v1::Condition& condition : vm.status().conditions()) {
    if (condition.type() == type) return ShortStatus(condition.status());
  }
  return "";
}

}  // namespace

std::string ShortVmName(const std::string& name) { return std::string(absl::StripPrefix(name, kPrefix)); }

std::string FullVmName(const std::string& name) {
  return absl::StartsWith(name, kPrefix) ? name : absl::StrCat(kPrefix, name);
}

Table MakeVmTable(OutputFormat format, bool with_rates) {
  std::vector<std::string> headers{"NAME", "STATE", "CID"};
  const bool wide = format == OutputFormat::kWide;
  if (wide) headers.push_back("NET");
  headers.push_back("GROUPS");
  if (with_rates) headers.insert(headers.end(), {"CONNS", "RX/s", "TX/s"});
  headers.insert(headers.end(), {"READY", "AGE"});
  if (wide) headers.insert(headers.end(), {"SOCKET", "UDS", "FORWARD", "PID", "TROUBLE"});
  return Table(std::move(headers));
}

void AddVm(const v1::Vm& vm, OutputFormat format, Table& table) { AddVm(vm, format, nullptr, table); }

void AddVm(const v1::Vm& vm, OutputFormat format, const VmRates* rates, Table& table) {
  const v1::VmStatus& status = vm.status();
  const bool wide = format == OutputFormat::kWide;
  const auto age = std::chrono::seconds(std::time(nullptr) - vm.create_time().seconds());
  std::vector<std::string> row{
      ShortVmName(vm.name()),
      status.state() == v1::VmStatus::STATE_UNSPECIFIED ? std::string() : v1::VmStatus::State_Name(status.state()),
      absl::StrCat(status.cid())};
  if (wide) row.push_back(Network(vm));
  row.push_back(Groups(vm));
  if (rates != nullptr) row.insert(row.end(), {rates->connections, rates->receive, rates->transmit});
  // As it was asked to be told; a driver that runs is what can be said of any VM.
  row.push_back(Holds(vm, vm.spec().has_readiness() ? "GuestReady" : "DriverReady"));
  row.push_back(vm.has_create_time() ? ShortAge(age) : std::string());
  const std::string trouble = Trouble(vm);
  if (wide) {
    row.push_back(status.vhost_user_socket());
    row.push_back(status.uds_path());
    row.push_back(Forward(vm));
    row.push_back(status.has_front_end() ? absl::StrCat(status.front_end().pid()) : std::string());
    row.push_back(trouble);
  }
  table.Add(std::move(row));
  constexpr size_t kState = 1;
  if (!trouble.empty() && status.state() == v1::VmStatus::ACTIVE) table.SetTint(kState, Tint::kNotice);
}

std::string RenderVm(const v1::Vm& vm, const Options& options) {
  if (ShowsMessage(options.format)) return Render(vm, options.format);
  if (options.format == OutputFormat::kName) return vm.name() + "\n";
  Table table = MakeVmTable(options.format);
  AddVm(vm, options.format, table);
  return table.Render(options);
}

std::string RenderVms(const v1::ListVmsResponse& list, const Options& options, const RatesByName* rates) {
  return RenderList(list.vms(), list, options.format, [&] {
    Table table = MakeVmTable(options.format, rates != nullptr);
    const VmRates unknown;
    for (const v1::Vm& vm : list.vms()) {
      const VmRates* known = nullptr;
      if (rates != nullptr) {
        const auto found = rates->find(vm.name());
        known = found == rates->end() ? &unknown : &found->second;
      }
      AddVm(vm, options.format, known, table);
    }
    return table.Render(options);
  });
}

}  // namespace kinsock
