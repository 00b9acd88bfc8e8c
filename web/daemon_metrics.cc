// SPDX-License-Identifier: Apache-2.0
#include "web/daemon_metrics.h"

#include <grpcpp/support/status.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/duration_histogram.h"
#include "base/version.h"
#include "router/flow_durations.h"
#include "server/model/vm_spec.h"

namespace kinsock {
namespace {

double Seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

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

void WriteWatches(const DaemonSample& sample, MetricWriter& out) {
  MetricWriter::Family open = out.Gauge("kinsock_watch_streams", "Open watches.");
  MetricWriter::Family lagged =
      out.Counter("kinsock_watch_lagged_total", "Watches ended because their client did not keep up.");
  const auto add = [&](const char* resource, const DaemonSample::Watches& watches) {
    open.Add(Number(watches.open), {{"resource", resource}});
    lagged.Add(Number(watches.lagged), {{"resource", resource}});
  };
  add("vms", sample.vm_watches);
  add("connections", sample.connection_watches);
  add("events", sample.event_watches);
}

void WriteConnectionTimes(const DaemonSample& sample, MetricWriter& out) {
  MetricWriter::Family connects =
      out.Histogram("kinsock_connect_duration_seconds", "From a connection request to the answer that accepts it.");
  MetricWriter::Family connections = out.Histogram("kinsock_connection_duration_seconds",
                                                   "From the request to the end of connections that were accepted.");
  for (const FlowWay way : kFlowWays) {
    const MetricLabels labels{{"direction", FlowWayName(way)}};
    connects.AddHistogram(sample.durations.connects[static_cast<size_t>(way)], labels);
    connections.AddHistogram(sample.durations.connections[static_cast<size_t>(way)], labels);
  }
}

void WriteCalls(const CallQueue::Stats& calls, MetricWriter& out) {
  out.Gauge("kinsock_api_waiting_calls", "Calls with one answer that wait for their turn.").Add(Number(calls.waiting));
  out.Gauge("kinsock_api_open_calls", "Calls with one answer that were begun, and whose client does not have it yet.")
      .Add(Number(calls.open));
  out.Gauge("kinsock_api_held_bytes", "Of these calls: their requests, and answers that were not read.")
      .Add(Number(calls.request_bytes), {{"of", "requests"}})
      .Add(Number(calls.unread_bytes), {{"of", "answers"}});
  out.Counter("kinsock_api_refused_calls_total", "Calls that were refused because too many were waiting.")
      .Add(Number(calls.refused));
}

void WriteStore(const StateStoreStats& store, MetricWriter& out) {
  out.Histogram("kinsock_store_commit_seconds", "How long transactions of the state took, each with its fsync.")
      .AddHistogram(store.commit_times);
  out.Counter("kinsock_store_changes_total", "Changes of the state: written, failed for the disk, or refused unseen.")
      .Add(Number(store.entries), {{"result", "written"}})
      .Add(Number(store.failed_entries), {{"result", "failed"}})
      .Add(Number(store.refused_entries), {{"result", "refused"}});
}

}  // namespace

void WriteDaemonMetrics(const DaemonSample& sample, MetricWriter& out) {
  out.Gauge("kinsock_build_info", "The release; always 1.").Add(1, {{"version", kVersion}});
  WriteVms(sample, out);
  WriteCids(sample, out);
  WritePolicies(sample, out);
  WriteWatches(sample, out);
  WriteConnectionTimes(sample, out);
  if (sample.store.has_value()) WriteStore(*sample.store, out);
  out.Gauge("kinsock_api_connections", "Open connections to the API.").Add(Number(sample.api_connections));
  WriteCalls(sample.api_calls, out);
  out.Gauge("kinsock_capture_sessions", "Captures that are under way.").Add(Number(sample.captures));
  out.Counter("kinsock_capture_dropped_packets_total",
              "Packets that captures have lost because their clients read too slowly; their delivery is not concerned.")
      .Add(Number(sample.capture_lost));
  out.Gauge("kinsock_tunnels", "Open tunnels to ports of guests (ConnectionService.Tunnel).")
      .Add(Number(sample.tunnels));
  out.Gauge("kinsock_draining", "The node is taken out of use.").Add(sample.draining ? 1 : 0);
  out.Counter("kinsock_forgotten_connections_total", "Connections that ended and could not be listed for their minute.")
      .Add(Number(sample.forgotten_flows));
  out.Counter("kinsock_merged_pairs_total", "Pairs that are no longer told apart, because there were too many.")
      .Add(Number(sample.merged_pairs));
  out.Counter("kinsock_log_dropped_lines_total", "Lines of the log that were dropped because nobody took them.")
      .Add(Number(sample.dropped_log_lines));
}

void WriteThreadMetrics(const DaemonSample& sample, const Heartbeat& heartbeat, MetricWriter& out) {
  out.Gauge("kinsock_main_silent_seconds", "How long ago the main thread went round last; it does once a second.")
      .Add(Seconds(heartbeat.main_silent_for()));
  const std::vector<Heartbeat::ReactorFigures> reactors = heartbeat.reactors();
  MetricWriter::Family silent = out.Gauge("kinsock_reactor_silent_seconds",
                                          "For how long a message to the reactor has been under way; one is sent each "
                                          "second.");
  MetricWriter::Family delay =
      out.Histogram("kinsock_reactor_delay_seconds", "How long messages to the reactor were under way; one a second.");
  for (size_t i = 0; i < reactors.size(); ++i) {
    const MetricLabels labels{{"reactor", absl::StrCat(i)}};
    silent.Add(Seconds(reactors[i].silent_for), labels);
    delay.AddHistogram(reactors[i].delays, labels);
  }
  MetricWriter::Family busy = out.Counter("kinsock_reactor_busy_seconds_total", "CPU time of the reactor's thread.");
  MetricWriter::Family wakeups =
      out.Counter("kinsock_reactor_wakeups_total", "Times that the reactor slept for want of work.");
  MetricWriter::Family loop =
      out.Histogram("kinsock_reactor_loop_seconds", "How long the reactor's rounds took, without the waiting.");
  MetricWriter::Family devices = out.Gauge("kinsock_reactor_devices", "VMs whose device the reactor serves.");
  for (size_t i = 0; i < sample.reactors.size(); ++i) {
    const MetricLabels labels{{"reactor", absl::StrCat(i)}};
    busy.Add(Seconds(sample.reactors[i].activity.cpu_time), labels);
    wakeups.Add(Number(sample.reactors[i].activity.sleeps), labels);
    loop.AddHistogram(sample.reactors[i].activity.rounds, labels);
    devices.Add(Number(sample.reactors[i].devices), labels);
  }
}

namespace {

// Of these there is a zero before there is a one: an alert sees only what grows.
bool IsAlarming(size_t code) {
  switch (static_cast<grpc::StatusCode>(code)) {
    case grpc::StatusCode::UNKNOWN:
    case grpc::StatusCode::INTERNAL:
    case grpc::StatusCode::UNAVAILABLE:
    case grpc::StatusCode::DATA_LOSS:
      return true;
    default:
      return false;
  }
}

}  // namespace

void WriteApiMetrics(const ApiMetrics& api, MetricWriter& out) {
  MetricWriter::Family started = out.Counter("grpc_server_started_total", "Calls of the API that were begun.");
  MetricWriter::Family handled = out.Counter("grpc_server_handled_total", "Calls of the API that ended, by status.");
  MetricWriter::Family times =
      out.Histogram("grpc_server_handling_seconds", "How long calls of the API took that have one answer.");
  for (const ApiMetrics::Method* method : api.methods()) {
    const MetricLabels labels{{"grpc_type", method->is_unary ? "unary" : "server_stream"},
                              {"grpc_service", method->service},
                              {"grpc_method", method->name}};
    const uint64_t begun = method->started.load(std::memory_order_relaxed);
    started.Add(Number(begun), labels);
    for (size_t code = 0; code < ApiMetrics::kCodes; ++code) {
      const uint64_t count = method->handled[code].load(std::memory_order_relaxed);
      if (count == 0 && !IsAlarming(code)) continue;
      MetricLabels with_code = labels;
      with_code.push_back({"grpc_code", ApiMetrics::CodeName(code)});
      handled.Add(Number(count), std::move(with_code));
    }
    if (begun > 0 && method->is_unary) times.AddHistogram(method->times.Read(), labels);
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
