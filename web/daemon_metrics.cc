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
#include "server/vm_spec.h"

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

// What no policy is about; no policy can be called so.
constexpr char kDefaultPolicyLabel[] = "(default)";

void WriteVms(const DaemonSample& sample, MetricWriter& out) {
  // A VM that was kept may be of a network that is no more.
  std::map<std::pair<std::string, VmState>, uint64_t> counts;
  for (const DaemonSample::Network& network : sample.networks) {
    counts[{network.id, VmState::kFailed}] = 0;
    for (const VmState state : kVmStates) counts[{network.id, state}] = 0;
  }
  for (const DaemonSample::Vm& each : sample.vms) {
    ++counts[{NetworkOf(each.vm->definition->spec), each.vm->status.state}];
  }
  MetricWriter::Family vms = out.Gauge("kinsock_vms", "VMs by network and state.");
  for (const auto& [what, count] : counts) {
    vms.Add(Number(count), {{"network", what.first}, {"state", VmStateName(what.second)}});
  }
}

void WriteCids(const DaemonSample& sample, MetricWriter& out) {
  using State = CidAllocator::Lease::State;
  MetricWriter::Family cids =
      out.Gauge("kinsock_cids", "CIDs that are not free, by what is with them, and those left to choose from (free).");
  MetricWriter::Family range =
      out.Gauge("kinsock_cid_range_size", "CIDs that the daemon may choose from, free or not.");
  for (const DaemonSample::Network& network : sample.networks) {
    const auto add = [&](const char* state, uint64_t count) {
      cids.Add(Number(count), {{"network", network.id}, {"state", state}});
    };
    add("allocated", network.cids.of(State::kAllocated));
    add("reserved", network.cids.of(State::kReserved));
    add("quarantined", network.cids.of(State::kResting));
    add("free", network.cids.free);
    range.Add(Number(network.cids.range), {{"network", network.id}});
  }
}

void WritePolicies(const DaemonSample& sample, MetricWriter& out) {
  MetricWriter::Family decisions = out.Counter("kinsock_policy_decisions_total",
                                               "Connection requests that a policy, or the network's default, decided.");
  for (const DaemonSample::Network& network : sample.networks) {
    const auto add = [&](const std::string& policy, bool allow, uint64_t count) {
      decisions.Add(Number(count), {{"network", network.id}, {"policy", policy}, {"action", allow ? "allow" : "deny"}});
    };
    add(kDefaultPolicyLabel, true, network.default_allowed);
    add(kDefaultPolicyLabel, false, network.default_denied);
    for (const PolicyDefinitionPtr& policy : network.policies) {
      add(policy->id, policy->spec.allow, policy->hits->value());
    }
  }
}

}  // namespace

void WriteDaemonMetrics(const DaemonSample& sample, MetricWriter& out) {
  out.Gauge("kinsock_build_info", "The release; always 1.").Add(1, {{"version", kVersion}});
  WriteVms(sample, out);
  WriteCids(sample, out);
  WritePolicies(sample, out);
  out.Gauge("kinsock_watch_streams", "Open watches.")
      .Add(Number(sample.vm_watches), {{"resource", "vms"}})
      .Add(Number(sample.connection_watches), {{"resource", "connections"}})
      .Add(Number(sample.event_watches), {{"resource", "events"}});
  out.Gauge("kinsock_api_connections", "Open connections to the API.").Add(Number(sample.api_connections));
  out.Gauge("kinsock_draining", "The node is taken out of use.").Add(sample.draining ? 1 : 0);
  out.Counter("kinsock_forgotten_connections_total", "Connections that ended and could not be listed for their minute.")
      .Add(Number(sample.forgotten_flows));
}

void WriteThreadMetrics(const DaemonSample& sample, const Heartbeat& heartbeat, MetricWriter& out) {
  out.Gauge("kinsock_main_silent_seconds", "How long ago the main thread went round last; it does once a second.")
      .Add(Seconds(heartbeat.main_silent_for()));
  const std::vector<Heartbeat::ReactorFigures> reactors = heartbeat.reactors();
  MetricWriter::Family silent = out.Gauge("kinsock_reactor_silent_seconds",
                                          "For how long a message to the reactor has been under way; one is sent each "
                                          "second.");
  MetricWriter::Family loop =
      out.Histogram("kinsock_reactor_loop_seconds", "How long messages to the reactor were under way; one a second.");
  std::vector<double> bounds;
  for (const std::chrono::nanoseconds bound : Heartbeat::kClasses) bounds.push_back(Seconds(bound));
  for (size_t i = 0; i < reactors.size(); ++i) {
    const MetricLabels labels{{"reactor", absl::StrCat(i)}};
    silent.Add(Seconds(reactors[i].silent_for), labels);
    loop.AddHistogram(bounds, {reactors[i].delays.begin(), reactors[i].delays.end()}, Seconds(reactors[i].delay_sum),
                      labels);
  }
  MetricWriter::Family busy = out.Counter("kinsock_reactor_busy_seconds_total", "CPU time of the reactor's thread.");
  MetricWriter::Family wakeups =
      out.Counter("kinsock_reactor_wakeups_total", "Times that the reactor slept for want of work.");
  MetricWriter::Family devices = out.Gauge("kinsock_reactor_devices", "VMs whose device the reactor serves.");
  for (size_t i = 0; i < sample.reactors.size(); ++i) {
    const MetricLabels labels{{"reactor", absl::StrCat(i)}};
    busy.Add(Seconds(sample.reactors[i].activity.cpu_time), labels);
    wakeups.Add(Number(sample.reactors[i].activity.sleeps), labels);
    devices.Add(Number(sample.reactors[i].devices), labels);
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
  out.Counter("kinsock_http_refused_total", "Connections refused because there were too many.")
      .Add(Number(server.refused()));
  out.Counter("kinsock_http_overloaded_total", "Requests refused because too many answers were unread.")
      .Add(Number(server.overloaded()));
}

void WritePageMetrics(const JsonApi& json, const EventStreams& streams, MetricWriter& out) {
  out.Counter("kinsock_http_questions_total", "Questions that the main thread was asked for answers in JSON.")
      .Add(Number(json.questions()));
  out.Counter("kinsock_http_busy_total", "Requests for JSON refused because too much was asked.")
      .Add(Number(json.refused()));
  out.Gauge("kinsock_http_event_streams", "Open streams of events.").Add(Number(streams.open()));
  out.Counter("kinsock_http_event_streams_lagged_total", "Streams of events ended because they read too slowly.")
      .Add(Number(streams.lagged()));
}

}  // namespace kinsock
