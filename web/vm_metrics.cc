// SPDX-License-Identifier: Apache-2.0
#include "web/vm_metrics.h"

#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "router/close_reason.h"
#include "router/flow_info.h"
#include "router/port_stats.h"
#include "server/model/vm_spec.h"

namespace kinsock {
namespace {

// Where the numbers of one device, or of all, go.
class Out {
 public:
  Out(MetricWriter::Family& family, MetricLabels common) : family_(family), common_(std::move(common)) {}

  void Add(double value, MetricLabels labels = {}) {
    labels.insert(labels.begin(), common_.begin(), common_.end());
    family_.Add(value, std::move(labels));
  }
  void Add(uint64_t value, MetricLabels labels = {}) { Add(static_cast<double>(value), std::move(labels)); }

  // These are the sums, of which there are few series.
  bool of_all() const { return common_.empty(); }

 private:
  MetricWriter::Family& family_;
  const MetricLabels common_;
};

using Emit = void (*)(const DeviceTotals&, Out&);

struct Family {
  const char* name;
  const char* help;
  prometheus::MetricType type;
  PerVmMetrics level;  // kBasic: also when only the most important ones are wanted
  Emit emit;
};

constexpr size_t kIn = static_cast<size_t>(Direction::kIn);
constexpr size_t kOut = static_cast<size_t>(Direction::kOut);
constexpr size_t kAccepted = static_cast<size_t>(CloseReason::kNone);

double Seconds(uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e9; }

// In the words of Connection.State.
void EmitConnections(const DeviceTotals& totals, Out& out) {
  constexpr std::array<const char*, kOpenFlowStates> kNames{"connecting", "established", "half_closed", "closing"};
  for (size_t state = 0; state < kNames.size(); ++state) {
    out.Add(totals.guest_port.connections[state], {{"state", kNames[state]}});
  }
}

// Reasons that have not occurred are left out: there would be a dozen for each VM.
void EmitConnects(const DeviceTotals& totals, Out& out) {
  for (const auto& [direction, index] : {std::pair("in", kIn), std::pair("out", kOut)}) {
    const PortTotals::ByReason& results = totals.guest_port.connects[index];
    out.Add(results[kAccepted], {{"direction", direction}, {"result", "ACCEPTED"}});
    for (size_t reason = 0; reason < results.size(); ++reason) {
      if (reason == kAccepted || results[reason] == 0) continue;
      out.Add(results[reason],
              {{"direction", direction}, {"result", CloseReasonName(static_cast<CloseReason>(reason))}});
    }
  }
}

void EmitCloses(const DeviceTotals& totals, Out& out) {
  for (size_t reason = 0; reason < totals.guest_port.closes.size(); ++reason) {
    if (reason == kAccepted || totals.guest_port.closes[reason] == 0) continue;
    out.Add(totals.guest_port.closes[reason], {{"reason", CloseReasonName(static_cast<CloseReason>(reason))}});
  }
}

void EmitLimited(const DeviceTotals& t, Out& out) {
  const auto add = [&](const char* limit, const char* direction, uint64_t count) {
    out.Add(count, {{"limit", limit}, {"direction", direction}});
  };
  add("connections", "out", t.from_guest_limited_connections);
  add("connections", "in", t.to_guest_limited_connections);
  add("pending_connections", "out", t.from_guest_limited_pending_connections);
  add("connects_per_second", "out", t.from_guest_limited_connects);
  add("connects_per_second", "in", t.to_guest_limited_connects);
  add("bytes", "out", t.from_guest_limited_bytes);
  add("bytes", "in", t.to_guest_limited_bytes);
  add("packets", "out", t.from_guest_limited_packets);
  add("buffered_bytes", "out", t.host_port.limited_buffered_bytes);
  add("buffered_bytes", "in", t.guest_port.limited_buffered_bytes);
  add("replies", "out", t.from_guest_limited_replies);
  add("control", "out", t.from_guest_limited_control);
  add("unread_packets", "in", t.to_guest_full_flows);
}

void EmitPackets(const char* peer, uint64_t data, uint64_t credit, uint64_t control, Out& out) {
  out.Add(data, {{"peer", peer}, {"op_class", "data"}});
  out.Add(credit, {{"peer", peer}, {"op_class", "credit"}});
  out.Add(control, {{"peer", peer}, {"op_class", "control"}});
}

// As above: what a guest of good manners never does has no series, but in the sums, whose rates are to begin with 0.
void EmitRefused(const DeviceTotals& t, Out& out) {
  const auto add = [&](const char* reason, uint64_t count) {
    if (count != 0 || out.of_all()) out.Add(count, {{"reason", reason}});
  };
  add("bad_length", t.from_guest_refused_bad_length);
  add("bad_op", t.from_guest_refused_bad_op);
  add("bad_type", t.from_guest_refused_bad_type);
  add("no_route", t.from_guest_refused_no_route);
  add("no_connection", t.from_guest_refused_no_connection);
  add("request", t.from_guest_refused_request);
  add("violation", t.from_guest_refused_violation);
  add("former_cid", t.from_guest_former_cid);
}

constexpr auto kCounter = prometheus::MetricType::Counter;
constexpr auto kGauge = prometheus::MetricType::Gauge;
constexpr auto kBasic = PerVmMetrics::kBasic;
constexpr auto kFull = PerVmMetrics::kFull;

// "receive" and "in" are the guest's view: what it gets, who calls it.
constexpr Family kFamilies[] = {
    {"connections", "Connections by state; one that is refused is in none.", kGauge, kBasic, EmitConnections},
    {"connects_total", "Connection requests that were answered, by result.", kCounter, kBasic, EmitConnects},
    {"connection_closes_total", "Accepted connections that have ended, by reason.", kCounter, kFull, EmitCloses},
    {"receive_bytes_total", "Payload that guests got, from the host or from siblings.", kCounter, kBasic,
     [](const DeviceTotals& t, Out& out) {
       out.Add(t.to_guest_host_bytes, {{"peer", "host"}});
       out.Add(t.to_guest_sibling_bytes, {{"peer", "sibling"}});
     }},
    {"transmit_bytes_total", "Payload of guests that was passed on, to the host or to siblings.", kCounter, kBasic,
     [](const DeviceTotals& t, Out& out) {
       out.Add(t.from_guest_host_bytes, {{"peer", "host"}});
       out.Add(t.from_guest_sibling_bytes, {{"peer", "sibling"}});
     }},
    {"receive_packets_total", "Packets put into receive buffers.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) {
       EmitPackets("host", t.to_guest_host_data_packets, t.to_guest_host_credit_packets,
                   t.to_guest_host_control_packets, out);
       EmitPackets("sibling", t.to_guest_sibling_data_packets, t.to_guest_sibling_credit_packets,
                   t.to_guest_sibling_control_packets, out);
     }},
    {"transmit_packets_total", "Packets of guests that were passed on, those included that the other end has refused.",
     kCounter, kFull,
     [](const DeviceTotals& t, Out& out) {
       EmitPackets("host", t.from_guest_host_data_packets, t.from_guest_host_credit_packets,
                   t.from_guest_host_control_packets, out);
       EmitPackets("sibling", t.from_guest_sibling_data_packets, t.from_guest_sibling_credit_packets,
                   t.from_guest_sibling_control_packets, out);
     }},
    {"taken_packets_total", "Packets taken off transmit rings, whatever became of them.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) { out.Add(t.from_guest_packets); }},
    {"refused_packets_total", "Packets answered with a reset, by reason.", kCounter, kFull, EmitRefused},
    {"packets_dropped_total", "Packets and buffers of guests that made no sense, by reason.", kCounter, kBasic,
     [](const DeviceTotals& t, Out& out) {
       out.Add(t.from_guest_dropped_spoofed_source, {{"reason", "src_cid_spoof"}});
       out.Add(t.from_guest_dropped_reserved_bits, {{"reason", "reserved_bits"}});
       out.Add(t.from_guest_dropped_reset_of_reset, {{"reason", "reset_of_reset"}});
       out.Add(t.from_guest_malformed_chains, {{"reason", "bad_transmit_chain"}});
       out.Add(t.to_guest_malformed_chains, {{"reason", "bad_receive_chain"}});
     }},
    {"credit_stalls_total", "Times that a connection used up its credit, by the direction of the payload.", kCounter,
     kFull,
     [](const DeviceTotals& t, Out& out) {
       out.Add(t.guest_port.credit_stalls[kIn], {{"direction", "in"}});
       out.Add(t.guest_port.credit_stalls[kOut], {{"direction", "out"}});
     }},
    {"credit_stalled_seconds_total", "How long until there was more, of stalls that are over.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) {
       out.Add(Seconds(t.guest_port.stalled_nanoseconds[kIn]), {{"direction", "in"}});
       out.Add(Seconds(t.guest_port.stalled_nanoseconds[kOut]), {{"direction", "out"}});
     }},
    {"credit_violations_total", "Connections reset because more was sent than was granted.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) { out.Add(t.from_guest_credit_violations); }},
    {"credit_clamped_total", "Packets whose window was cut to what the daemon answers for.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) { out.Add(t.to_guest_credit_clamped); }},
    {"credit_requests_total", "Times that a guest was asked what it has read.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) { out.Add(t.to_guest_credit_requests); }},
    {"buffered_bytes", "Payload that waits in the daemon, for guests (in) or for host programs (out).", kGauge, kFull,
     [](const DeviceTotals& t, Out& out) {
       out.Add(t.guest_port.buffered_bytes, {{"direction", "in"}});
       out.Add(t.host_port.buffered_bytes, {{"direction", "out"}});
     }},
    {"copied_bytes_total", "Payload that was copied aside because its receiver had no room.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) { out.Add(t.from_guest_copied_bytes); }},
    {"queue_kicks_total", "Notifications of virtqueues by guests.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) {
       out.Add(t.to_guest_kicks, {{"queue", "rx"}});
       out.Add(t.from_guest_kicks, {{"queue", "tx"}});
     }},
    {"queue_interrupts_total", "Interrupts for virtqueues.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) {
       out.Add(t.to_guest_interrupts, {{"queue", "rx"}});
       out.Add(t.from_guest_interrupts, {{"queue", "tx"}});
     }},
    {"queue_starved_total", "Times that a packet found no receive buffer.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) {
       out.Add(t.to_guest_starved, {{"queue", "rx"}});
     }},
    {"queue_rests_total", "Times that half of a transmit ring waited for busy receivers.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) {
       out.Add(t.from_guest_rests, {{"queue", "tx"}});
     }},
    {"queue_rested_seconds_total", "How long it did.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) {
       out.Add(Seconds(t.from_guest_rested_nanoseconds), {{"queue", "tx"}});
     }},
    {"limited_total", "Times that a limit was met.", kCounter, kFull, EmitLimited},
    {"former_cid_packets_total", "Packets refused that a guest sent under the CID which it had before a change.",
     kCounter, kFull, [](const DeviceTotals& t, Out& out) { out.Add(t.from_guest_former_cid); }},
    {"forward_connects_total", "Connections asked for through forwards.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) { out.Add(t.forward_connects); }},
    {"forward_refused_total", "Of these, those that were not made.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) { out.Add(t.forward_refused); }},
    {"readiness_probes_total", "Times that a guest's port was tried, to see whether it is ready.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) { out.Add(t.readiness_probes); }},
    {"refused_notices_total", "Connections that say READY=1 ended: too many, or a line too long.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) { out.Add(t.refused_notices); }},
    {"timed_out_connections_total", "Connections reset because no answer, or no end, came in time.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) { out.Add(t.timed_out_flows); }},
    {"transport_resets_total", "Times that a driver was told to reset its connections.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) { out.Add(t.transport_resets); }},
    {"frontend_connects_total", "Sessions of VMMs.", kCounter, kBasic,
     [](const DeviceTotals& t, Out& out) { out.Add(t.front_end_connects); }},
    {"unanswered_config_changes_total", "Times that a VMM did not say that it knows of another CID.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) { out.Add(t.unanswered_config_changes); }},
    {"frontend_messages_total", "vhost-user messages received.", kCounter, kFull,
     [](const DeviceTotals& t, Out& out) { out.Add(t.front_end_messages); }},
    {"protocol_errors_total", "What VMMs and drivers did that the protocols do not allow.", kCounter, kBasic,
     [](const DeviceTotals& t, Out& out) {
       out.Add(t.front_end_errors, {{"kind", "session_closed"}});
       out.Add(t.front_end_refused_messages, {{"kind", "message_refused"}});
       out.Add(t.broken_rings, {{"kind", "rings_stopped"}});
     }},
};

MetricLabels LabelsOf(const VmSnapshot& vm) {
  return {{"vm", vm.definition->id}, {"network", NetworkOf(vm.definition->spec)}};
}

void WriteInfo(const DaemonSample& sample, MetricWriter& out) {
  MetricWriter::Family info = out.Gauge("kinsock_vm_info", "A VM and its CID; always 1.");
  for (const DaemonSample::Vm& each : sample.vms) {
    MetricLabels labels = LabelsOf(*each.vm);
    labels.push_back({"uid", each.vm->definition->uid});
    labels.push_back({"cid", absl::StrCat(each.vm->status.cid)});
    info.Add(1, std::move(labels));
  }
}

}  // namespace

void WriteVmMetrics(const DaemonSample& sample, PerVmMetrics per_vm, MetricWriter& out) {
  for (const Family& each : kFamilies) {
    MetricWriter::Family family(out, each.type, absl::StrCat("kinsock_", each.name),
                                absl::StrCat(each.help, " All VMs together, those that are gone included."));
    Out all(family, {});
    each.emit(sample.all, all);
  }
  if (per_vm == PerVmMetrics::kOff) return;
  WriteInfo(sample, out);
  for (const Family& each : kFamilies) {
    if (per_vm == PerVmMetrics::kBasic && each.level != PerVmMetrics::kBasic) continue;
    MetricWriter::Family family(out, each.type, absl::StrCat("kinsock_vm_", each.name), each.help);
    for (const DaemonSample::Vm& vm : sample.vms) {
      Out one(family, LabelsOf(*vm.vm));
      each.emit(vm.totals, one);
    }
  }
}

}  // namespace kinsock
