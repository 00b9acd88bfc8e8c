// SPDX-License-Identifier: Apache-2.0
#include "web/observer.h"

#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "web/daemon_metrics.h"
#include "web/http_limits.h"
#include "web/page/page_files.h"
#include "web/process_metrics.h"
#include "web/vm_metrics.h"

namespace kinsock {
namespace {

constexpr int kServiceUnavailable = 503;
constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";

// Nobody knows who comes over TCP: all of them are one.
std::string PeerOf(const Caller& caller) {
  return caller.transport == Caller::Transport::kUnix ? absl::StrCat("uid ", caller.uid) : "tcp";
}

struct Check {
  std::string name;
  std::string fault;  // empty: good
};

HttpReply ReplyTo(const std::vector<Check>& checks, bool verbose) {
  HttpReply reply;
  std::string faults;
  for (const Check& check : checks) {
    if (!check.fault.empty()) reply.status = kServiceUnavailable;
    if (!check.fault.empty()) absl::StrAppend(&faults, "[-] ", check.name, ": ", check.fault, "\n");
    if (verbose && check.fault.empty()) absl::StrAppend(&reply.body, "[+] ", check.name, "\n");
  }
  reply.body += faults;
  if (reply.status == 200) reply.body += "ok\n";
  return reply;
}

std::string SilentFor(std::chrono::nanoseconds time) {
  return absl::StrCat("has not gone round for ", std::chrono::duration_cast<std::chrono::milliseconds>(time).count(),
                      " ms");
}

std::vector<Check> CheckThreads(const Heartbeat& heartbeat) {
  std::vector<Check> checks;
  const auto add = [&](std::string name, std::chrono::nanoseconds silent_for) {
    checks.push_back({std::move(name), heartbeat.is_stuck(silent_for) ? SilentFor(silent_for) : ""});
  };
  add("main", heartbeat.main_silent_for());
  const std::vector<Heartbeat::ReactorFigures> reactors = heartbeat.reactors();
  for (size_t i = 0; i < reactors.size(); ++i) add(absl::StrCat("reactor-", i), reactors[i].silent_for);
  return checks;
}

}  // namespace

Observer::Observer(BoundSocket socket, const HttpSettings& settings, ApiListener::Identify identify, Sources sources)
    : sources_(std::move(sources)),
      per_vm_(settings.per_vm),
      health_(settings.tcp.has_value()),
      prompt_(settings.tcp.has_value()),
      query_(sources_.main),
      json_(sources_.services, query_),
      app_(settings.tcp.has_value()) {
  app_.Get("/metrics", [this](const HttpRequest&) { return Metrics(); });
  health_.Get("/livez", [this](const HttpRequest&) { return Live(); });
  app_.Get("/readyz", [this](const HttpRequest& request) { return Ready(request); });
  server_ = std::make_unique<HttpServer>(
      std::move(socket), std::move(identify),
      HttpServer::Answers{[this](std::string_view head, const Caller& caller) -> std::optional<HttpOutput> {
                            HttpApp* const app = health_.Serves(head)   ? &health_
                                                 : prompt_.Serves(head) ? &prompt_
                                                                        : nullptr;
                            if (app == nullptr) return std::nullopt;
                            return app->Answer(head, caller.role, PeerOf(caller));
                          },
                          [this](std::string_view head, const Caller& caller) -> std::optional<HttpOutput> {
                            if (!health_.Serves(head)) return std::nullopt;
                            return health_.Answer(head, caller.role, PeerOf(caller));
                          },
                          [this](std::string_view head, const Caller& caller) {
                            return app_.Answer(head, caller.role, PeerOf(caller));
                          }},
      [this] { sources_.main.Post([this] { stopped_ = true; }); });
  if (settings.ui) ServePage();
}

absl::Status Observer::Start() { return server_->Start(); }

void Observer::ServePage() {
  json_.Serve(app_);
  streams_ = std::make_unique<EventStreams>(server_->loop(), sources_.events.source().ring->epoch());
  prompt_.Get(
      "/api/v1/events", [this](const HttpRequest& request) { return streams_->Open(request); },
      HttpApp::Hosts::kLoopback);
  for (const PageFile& file : PageFiles()) {
    prompt_.Get(
        file.path,
        [file](const HttpRequest&) { return HttpReply{.type = file.type, .body = std::string(file.content)}; },
        HttpApp::Hosts::kLoopback);
  }
  // What is posted to a server that has stopped is dropped with its loop.
  feed_ = std::make_unique<EventFeed>(sources_.main, sources_.events, [this](std::vector<EventFeed::Numbered> events) {
    server_->loop().Post([this, events = std::move(events)]() mutable { streams_->Append(std::move(events)); });
  });
}

Observer::~Observer() = default;

void Observer::Stop() {
  feed_ = nullptr;
  server_->Stop();
}

// The second thread. Null: main does not say.
std::shared_ptr<const DaemonSample> Observer::Sample() {
  const MonotonicTime now = Clock::Monotonic().Now();
  if (sample_ != nullptr && now - sampled_at_ < kSampleAge) return sample_;
  std::optional<std::shared_ptr<const DaemonSample>> answer = query_.Ask<std::shared_ptr<const DaemonSample>>(
      [this](absl::AnyInvocable<void(std::shared_ptr<const DaemonSample>)> done) {
        done(std::make_shared<const DaemonSample>(sources_.sample()));
      });
  if (!answer.has_value()) return nullptr;
  sample_ = *std::move(answer);
  sampled_at_ = now;
  return sample_;
}

HttpReply Observer::Metrics() {
  const MonotonicTime began = Clock::Monotonic().Now();
  if (began < metrics_good_until_) return {.type = kMetricsType, .body = metrics_};
  const std::shared_ptr<const DaemonSample> sample = Sample();
  if (sample == nullptr) return {.status = kServiceUnavailable, .body = "the main thread does not answer\n"};
  MetricWriter out;
  WriteDaemonMetrics(*sample, out);
  WriteVmMetrics(*sample, per_vm_, out);
  WriteThreadMetrics(*sample, sources_.heartbeat, out);
  WriteApiMetrics(sources_.api, out);
  HttpApp::Counts requests = app_.counts();
  for (const HttpApp* app : {&health_, &prompt_}) {
    for (const auto& [what, count] : app->counts()) requests[what] += count;
  }
  WriteHttpMetrics(requests, *server_, out);
  if (streams_ != nullptr) WritePageMetrics(json_, *streams_, out);
  WriteProcessMetrics(out);
  metrics_ = out.Take();
  const MonotonicTime ended = Clock::Monotonic().Now();
  metrics_good_until_ = ended + kMetricsRest * (ended - began);
  return {.type = kMetricsType, .body = metrics_};
}

HttpReply Observer::Live() const { return ReplyTo(CheckThreads(sources_.heartbeat), true); }

HttpReply Observer::Ready(const HttpRequest& request) {
  std::vector<Check> checks = CheckThreads(sources_.heartbeat);
  const std::shared_ptr<const DaemonSample> sample = Sample();
  checks.push_back({"control", sample == nullptr ? "the main thread does not answer" : ""});
  if (sample != nullptr) checks.push_back({"accepts VMs", sample->draining ? "the node drains" : ""});
  return ReplyTo(checks, request.parameters.count("verbose") != 0);
}

}  // namespace kinsock
