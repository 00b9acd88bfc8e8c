// SPDX-License-Identifier: Apache-2.0
#include "web/daemon_metrics.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/version.h"

namespace kinsock {
namespace {

double Seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

template <typename Atomics>
std::vector<uint64_t> Values(const Atomics& atomics) {
  std::vector<uint64_t> values;
  for (const auto& each : atomics) values.push_back(each.load(std::memory_order_relaxed));
  return values;
}

double Number(uint64_t value) { return static_cast<double>(value); }

}  // namespace

void WriteDaemonMetrics(const DaemonSample& sample, MetricWriter& out) {
  out.Gauge("kinsock_build_info", "The release; always 1.").Add(1, {{"version", kVersion}});
  std::map<VmState, uint64_t> states{{VmState::kFailed, 0}};
  for (const VmState state : kVmStates) states[state] = 0;
  for (const DaemonSample::Vm& each : sample.vms) ++states[each.vm->status.state];
  {
    MetricWriter::Family vms = out.Gauge("kinsock_vms", "VMs by state.");
    for (const auto& [state, count] : states) vms.Add(Number(count), {{"state", VmStateName(state)}});
  }
  out.Gauge("kinsock_cids", "CIDs that VMs have, and those that rest before another VM may have them.")
      .Add(Number(sample.vms.size()), {{"state", "allocated"}})
      .Add(Number(sample.resting_cids), {{"state", "resting"}});
  out.Gauge("kinsock_watch_streams", "Open watches.")
      .Add(Number(sample.vm_watches), {{"resource", "vms"}})
      .Add(Number(sample.event_watches), {{"resource", "events"}});
  out.Gauge("kinsock_api_connections", "Open connections to the API.").Add(Number(sample.api_connections));
  out.Gauge("kinsock_draining", "The node is taken out of use.").Add(sample.draining ? 1 : 0);
  out.Counter("kinsock_forgotten_connections_total", "Connections that ended and could not be listed for their minute.")
      .Add(Number(sample.forgotten_flows));
}

void WriteThreadMetrics(const Heartbeat& heartbeat, MetricWriter& out) {
  out.Gauge("kinsock_main_silent_seconds", "How long ago the main thread went round last; it does once a second.")
      .Add(Seconds(heartbeat.main_silent_for()));
  const std::vector<Heartbeat::ReactorFigures> reactors = heartbeat.reactors();
  MetricWriter::Family silent = out.Gauge("kinsock_reactor_silent_seconds",
                                          "For how long a message to the reactor has been under way; one is sent each "
                                          "second.");
  MetricWriter::Family busy = out.Counter("kinsock_reactor_busy_seconds_total", "CPU time of the reactor's thread.");
  MetricWriter::Family loop =
      out.Histogram("kinsock_reactor_loop_seconds", "How long messages to the reactor were under way; one a second.");
  std::vector<double> bounds;
  for (const std::chrono::nanoseconds bound : Heartbeat::kClasses) bounds.push_back(Seconds(bound));
  for (size_t i = 0; i < reactors.size(); ++i) {
    const MetricLabels labels{{"reactor", absl::StrCat(i)}};
    silent.Add(Seconds(reactors[i].silent_for), labels);
    busy.Add(Seconds(reactors[i].busy), labels);
    loop.AddHistogram(bounds, {reactors[i].delays.begin(), reactors[i].delays.end()}, Seconds(reactors[i].delay_sum),
                      labels);
  }
}

void WriteApiMetrics(const ApiMetrics& api, MetricWriter& out) {
  MetricWriter::Family started = out.Counter("grpc_server_started_total", "Calls of the API that were begun.");
  MetricWriter::Family handled = out.Counter("grpc_server_handled_total", "Calls of the API that ended, by status.");
  MetricWriter::Family times =
      out.Histogram("grpc_server_handling_seconds", "How long calls of the API took that have one answer.");
  const std::vector<double> bounds(ApiMetrics::kBounds.begin(), ApiMetrics::kBounds.end());
  for (const ApiMetrics::Method* method : api.methods()) {
    const MetricLabels labels{{"grpc_type", method->is_unary ? "unary" : "server_stream"},
                              {"grpc_service", method->service},
                              {"grpc_method", method->name}};
    const uint64_t begun = method->started.load(std::memory_order_relaxed);
    started.Add(Number(begun), labels);
    if (begun == 0) continue;
    for (size_t code = 0; code < ApiMetrics::kCodes; ++code) {
      const uint64_t count = method->handled[code].load(std::memory_order_relaxed);
      if (count == 0) continue;
      MetricLabels with_code = labels;
      with_code.push_back({"grpc_code", ApiMetrics::CodeName(code)});
      handled.Add(Number(count), std::move(with_code));
    }
    if (method->is_unary) {
      times.AddHistogram(bounds, Values(method->times),
                         Seconds(std::chrono::nanoseconds(method->nanoseconds.load(std::memory_order_relaxed))),
                         labels);
    }
  }
}

void WriteHttpMetrics(const HttpApp::Counts& requests, const HttpServer& server, MetricWriter& out) {
  {
    MetricWriter::Family family = out.Counter("kinsock_http_requests_total", "Requests by path and status.");
    for (const auto& [what, count] : requests) {
      family.Add(Number(count), {{"path", what.first}, {"status", absl::StrCat(what.second)}});
    }
  }
  out.Gauge("kinsock_http_connections", "Open connections to the HTTP socket.").Add(Number(server.connections()));
  out.Counter("kinsock_http_abandoned_total", "Connections closed because the client did not ask, or read, in time.")
      .Add(Number(server.abandoned()));
  out.Counter("kinsock_http_overloaded_total", "Requests refused because too many answers were unread.")
      .Add(Number(server.overloaded()));
}

}  // namespace kinsock
