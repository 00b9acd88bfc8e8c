// SPDX-License-Identifier: Apache-2.0
#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "cli/call/client.h"
#include "cli/commands/commands.h"
#include "cli/flags/choice.h"
#include "cli/flags/port_check.h"
#include "cli/guest/guest_bench.h"
#include "cli/guest/guest_port.h"
#include "cli/schema/bench_report.pb.h"
#include "cli/text/duration.h"
#include "cli/text/output.h"
#include "cli/text/progress.h"
#include "cli/text/table.h"
#include "cli/top/top.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

constexpr std::chrono::minutes kMaxTime{10};
constexpr std::chrono::milliseconds kMinTime{100};

struct BenchFlags {
  std::string vm;
  uint32_t port = 0;
  std::string time = "3s";
  BenchSettings settings;
};

using Report = ctl::BenchReport;

struct Measured {
  std::string what;                   // in the table
  Report::Times* (Report::*times)();  // where it stands in the report, if it is no bytes
  Report::Bytes* (Report::*bytes)();  // if it is
  BenchResult result;

  bool is_bytes() const { return bytes != nullptr; }
};

// What to start in the guest; socat is in every distribution.
std::string ServerLine(BenchServer server, uint32_t port) {
  const std::string listen = absl::StrCat("VSOCK-LISTEN:", port, ",fork,backlog=64");
  switch (server) {
    case BenchServer::kEcho:
      break;
    case BenchServer::kDiscard:
      return absl::StrCat("socat -u ", listen, " OPEN:/dev/null,wronly");
    case BenchServer::kSource:
      return absl::StrCat("socat -U ", listen, " OPEN:/dev/zero,rdonly");
  }
  return absl::StrCat("socat ", listen, " PIPE");
}

double ToMicroseconds(std::chrono::nanoseconds time) { return static_cast<double>(time.count()) / 1000; }

std::string Microseconds(std::chrono::nanoseconds time) { return absl::StrFormat("%.1fus", ToMicroseconds(time)); }

double Rate(const Measured& measured) {
  const BenchResult& result = measured.result;
  const auto amount = static_cast<double>(measured.is_bytes() ? result.bytes : result.count);
  return result.seconds > 0 ? amount / result.seconds : 0;
}

void ShowTable(const std::vector<Measured>& all, const Options& options) {
  Table table({"WHAT", "PER-SECOND", "P50", "P99", "MAX", "COUNT", "REFUSED"});
  for (const Measured& measured : all) {
    const BenchResult& result = measured.result;
    std::vector<std::string> row{measured.what, ShortNumber(Rate(measured)) + (measured.is_bytes() ? "B" : "")};
    if (measured.is_bytes()) {
      row.insert(row.end(), {"", "", "", ShortNumber(static_cast<double>(result.bytes)) + "B", ""});
    } else {
      row.insert(row.end(),
                 {Microseconds(result.latency.Quantile(0.5)), Microseconds(result.latency.Quantile(0.99)),
                  Microseconds(result.latency.longest()), absl::StrCat(result.count), absl::StrCat(result.refused)});
    }
    table.Add(std::move(row));
  }
  Print(table.Render(options));
}

Report ToReport(const std::vector<Measured>& all, const BenchFlags& flags) {
  Report report;
  report.set_vm(FullVmName(flags.vm));
  report.set_port(flags.port);
  report.set_connections(static_cast<uint32_t>(flags.settings.connections));
  report.set_message_bytes(static_cast<uint32_t>(flags.settings.message_bytes));
  for (const Measured& measured : all) {
    const BenchResult& result = measured.result;
    if (measured.is_bytes()) {
      Report::Bytes& bytes = *(report.*measured.bytes)();
      bytes.set_seconds(result.seconds);
      bytes.set_per_second(Rate(measured));
      bytes.set_bytes(result.bytes);
      continue;
    }
    Report::Times& times = *(report.*measured.times)();
    times.set_seconds(result.seconds);
    times.set_per_second(Rate(measured));
    times.set_count(static_cast<uint32_t>(result.count));
    times.set_refused(static_cast<uint32_t>(result.refused));
    times.set_p50_us(ToMicroseconds(result.latency.Quantile(0.5)));
    times.set_p99_us(ToMicroseconds(result.latency.Quantile(0.99)));
    times.set_max_us(ToMicroseconds(result.latency.longest()));
  }
  return report;
}

// In their order, up to the first that fails.
std::vector<Measured> MeasureAll(GuestBench& bench, const BenchSettings& settings) {
  std::vector<Measured> all;
  const auto good = [&] { return all.empty() || all.back().result.fault.empty(); };
  if (settings.server == BenchServer::kEcho) {
    all.push_back({absl::StrCat("round trips of ", settings.message_bytes, "B"), &Report::mutable_round_trips, nullptr,
                   bench.RoundTrips()});
  }
  if (good()) all.push_back({"connections", &Report::mutable_connects, nullptr, bench.Connections()});
  if (!good()) return all;
  using Where = Report::Bytes* (Report::*)();
  const std::map<BenchServer, std::pair<const char*, Where>> names{
      {BenchServer::kEcho, {"bytes there and back", &Report::mutable_echoed}},
      {BenchServer::kDiscard, {"bytes to the guest", &Report::mutable_to_guest}},
      {BenchServer::kSource, {"bytes from the guest", &Report::mutable_from_guest}}};
  const auto& [what, where] = names.at(settings.server);
  all.push_back({what, nullptr, where, bench.Bytes()});
  return all;
}

ExitCode Bench(BenchFlags flags, const Options& options) {
  const std::optional<std::chrono::milliseconds> time = ParseDuration(flags.time);
  if (!time.has_value() || *time < kMinTime || *time > kMaxTime) {
    std::fprintf(stderr, "kinsockctl: --time: \"%s\" is not a time from 100ms to 10m; write 3s\n", flags.time.c_str());
    return kExitUsage;
  }
  flags.settings.time = *time;
  Client client(options);
  v1::Vm vm;
  if (const ExitCode code = FindHybridVm(client, flags.vm, flags.port, true, vm); code != kExitOk) return code;
  const auto patience = options.timeout.value_or(kQuestionTimeout);
  UniqueFd probe;
  if (const ExitCode code = DialGuest(client, vm, flags.port, patience, probe); code != kExitOk) {
    std::fprintf(stderr, "  in the guest: %s\n", ServerLine(flags.settings.server, flags.port).c_str());
    return code;
  }
  probe.reset();
  Progress progress;
  GuestBench bench(
      [&](UniqueFd& socket) {
        int error = 0;
        return TryDial(vm.status().uds_path(), flags.port, patience, socket, error);
      },
      flags.settings, progress);
  const std::vector<Measured> all = MeasureAll(bench, flags.settings);
  progress.Clear();
  const bool good = all.back().result.fault.empty();
  if (options.format == OutputFormat::kName) {
    Print(vm.name() + "\n");
  } else if (ShowsMessage(options.format)) {
    Print(Render(ToReport(all, flags), options.format));
  } else {
    ShowTable(all, options);
    std::fprintf(stderr,
                 "This is what a program on this host has of the guest's port %u: the VM's socket, kinsockd, "
                 "the guest's kernel and the program that serves the port are all in it.\n",
                 flags.port);
  }
  if (good) return kExitOk;
  std::fprintf(stderr, "kinsockctl: %s: %s\n  in the guest: %s\n", all.back().what.c_str(),
               all.back().result.fault.c_str(), ServerLine(flags.settings.server, flags.port).c_str());
  return kExitError;
}

constexpr char kWhatItNeeds[] = R"(A program in the guest serves the port, for example
  socat VSOCK-LISTEN:5000,fork,backlog=64 PIPE                          # --against echo
  socat -u VSOCK-LISTEN:5000,fork,backlog=64 OPEN:/dev/null,wronly      # --against discard
  socat -U VSOCK-LISTEN:5000,fork,backlog=64 OPEN:/dev/zero,rdonly      # --against source
and its own work is in the figures: socat starts a process for each connection, and copies 8 KiB at a time (-b).
Measured are: round trips (echo), connections that are made and ended one after the other, and bytes per second.
-o json is a BenchReport (cli/schema/bench_report.proto), with times in microseconds.
Example:
  kinsockctl bench web 5000 --time 5s)";

}  // namespace

void DeclareBench(CLI::App& app, Command& command) {
  CLI::App* bench = app.add_subcommand("bench", "Measure what a program on this host has of a port of a guest");
  auto flags = std::make_shared<BenchFlags>();
  BenchSettings& settings = flags->settings;
  bench->add_option("VM", flags->vm, "Which VM")->required();
  bench->add_option("PORT", flags->port, "The guest's port")->required()->check(PortFault);
  AddChoice<BenchServer>(
      *bench, "--against", settings.server,
      {{"echo", BenchServer::kEcho}, {"discard", BenchServer::kDiscard}, {"source", BenchServer::kSource}},
      "What serves the port (echo)");
  bench->add_option("--time,--seconds", flags->time, "How long each measurement takes, 100ms to 10m (3s)")
      ->option_text("TIME");
  bench->add_option("--size", settings.message_bytes, "Bytes of a round trip (64)")
      ->check(CLI::Range(size_t{1}, GuestBench::kMaxMessageBytes))
      ->option_text("BYTES");
  bench->add_option("--connections", settings.connections, "That round trips and bytes have at once (1)")
      ->check(CLI::Range(size_t{1}, GuestBench::kMaxConnections))
      ->option_text("N");
  bench->footer(kWhatItNeeds);
  bench->callback([flags, &command] { command = [flags](const Options& options) { return Bench(*flags, options); }; });
}

}  // namespace kinsock
