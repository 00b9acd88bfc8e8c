// SPDX-License-Identifier: Apache-2.0
#include "web/json_api.h"

#include <time.h>

#include <chrono>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/status/error.h"
#include "web/http_limits.h"
#include "web/json_text.h"
#include "web/query_fields.h"

namespace kinsock {
namespace {

constexpr char kVmsPrefix[] = "/api/v1/vms/";
constexpr int kRetrySeconds = 1;

HttpHeaders RetryAfter() { return {{"Retry-After", absl::StrCat(kRetrySeconds)}}; }

// How long ago this was so, milliseconds: who computes rates has to know (Server Timing, 3).
HttpHeaders Age(std::chrono::nanoseconds age) {
  return {
      {"Server-Timing", absl::StrCat("age;dur=", std::chrono::duration_cast<std::chrono::milliseconds>(age).count())}};
}

// What this thread has spent on a processor.
std::chrono::nanoseconds Spent() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

// The same question, however its parameters were ordered.
std::string QuestionOf(const HttpRequest& asked) {
  std::string question = asked.path;
  // Lengths, so that no value can look like the end of itself.
  for (const auto& [name, value] : asked.parameters) {
    absl::StrAppend(&question, "&", name.size(), ":", name, "=", value.size(), ":", value);
  }
  return question;
}

}  // namespace

JsonApi::JsonApi(Services services, ControlQuery& query)
    : services_(services), query_(query), share_(kJsonShare, kJsonBurst) {}

void JsonApi::Serve(HttpApp& app) {
  const auto serve = [&](const char* path, HttpApp::Handler handler) {
    app.Get(path, std::move(handler), HttpApp::Hosts::kLoopback);
  };
  serve("/api/v1/info",
        [this](const HttpRequest& asked) { return Answer<v1::Info>(asked, v1::GetInfoRequest(), &JsonApi::Read); });
  serve("/api/v1/vms", [this](const HttpRequest& asked) {
    return Answer<v1::ListVmsResponse>(asked, v1::ListVmsRequest(), &JsonApi::Read);
  });
  serve("/api/v1/connections", [this](const HttpRequest& asked) {
    return Answer<v1::ListConnectionsResponse>(asked, v1::ListConnectionsRequest(), &JsonApi::Read);
  });
  serve("/api/v1/pairs", [this](const HttpRequest& asked) {
    // Whatever else GetStats tells is not here.
    if (asked.parameters.count("scope") != 0) {
      const absl::Status fault =
          FieldsInvalid("", {{"\"scope\"", "is no parameter of this; there are vm, top, with_denied"}});
      return HttpReply{.status = HttpStatusOf(fault.code()), .type = kJsonType, .body = JsonOf(fault)};
    }
    v1::GetStatsRequest request;
    request.set_scope(v1::GetStatsRequest::PAIR);
    return Answer<v1::StatsReport>(asked, request, &JsonApi::Read);
  });
  serve("/api/v1/cids", [this](const HttpRequest& asked) {
    v1::ListCidsRequest request;
    if (asked.parameters.count("parent") == 0) request.set_parent("networks/default");
    return Answer<v1::ListCidsResponse>(asked, request, &JsonApi::Read);
  });
  app.GetBelow(
      kVmsPrefix,
      [this](const HttpRequest& asked) {
        v1::GetVmRequest request;
        request.set_name(absl::StrCat("vms/", asked.path.substr(sizeof(kVmsPrefix) - 1)));
        return Answer<v1::Vm>(asked, request, &JsonApi::Read);
      },
      HttpApp::Hosts::kLoopback);
}

template <typename Response, typename Request>
HttpReply JsonApi::Answer(const HttpRequest& asked, Request request,
                          void (JsonApi::*ask)(const Request&, absl::AnyInvocable<void(absl::StatusOr<Response>)>)) {
  if (!share_.HasRoom(Clock::Monotonic().Now(), Spent())) return Refuse();
  std::string question = QuestionOf(asked);
  if (const Kept* kept = Find(question); kept != nullptr) {
    return {.status = kept->status,
            .type = kJsonType,
            .body = kept->body,
            .headers = Age(Clock::Monotonic().Now() - kept->time)};
  }
  if (const absl::Status set = SetFields(asked.parameters, request); !set.ok()) {
    return {.status = HttpStatusOf(set.code()), .type = kJsonType, .body = JsonOf(set)};
  }
  const MonotonicTime now = Clock::Monotonic().Now();
  asking_.SetRate({.per_second = kJsonQuestionsPerSecond, .burst = kJsonQuestionBurst}, now);
  asking_.Refill(now);
  if (asking_.Spent()) return Refuse();
  asking_.Spend(1);
  ++questions_;
  const std::optional<absl::StatusOr<Response>> answer = query_.Ask<absl::StatusOr<Response>>(
      [this, ask, request = std::move(request)](absl::AnyInvocable<void(absl::StatusOr<Response>)> done) {
        (this->*ask)(request, std::move(done));
      });
  if (!answer.has_value()) {
    const absl::Status stuck = Error(absl::StatusCode::kUnavailable, "STUCK",
                                     "the main thread does not answer; /livez says whether it is stuck");
    return {.status = HttpStatusOf(stuck.code()), .type = kJsonType, .body = JsonOf(stuck), .headers = RetryAfter()};
  }
  return Keep(std::move(question), answer->status(), answer->ok() ? &**answer : nullptr);
}

const JsonApi::Kept* JsonApi::Find(const std::string& question) const {
  const MonotonicTime now = Clock::Monotonic().Now();
  for (const Kept& kept : kept_) {
    if (now - kept.time > kJsonAge) return nullptr;  // and so are all that follow
    if (kept.question == question) return &kept;
  }
  return nullptr;
}

HttpReply JsonApi::Keep(std::string question, const absl::Status& status, const google::protobuf::Message* answer) {
  Kept kept{.question = std::move(question),
            .time = Clock::Monotonic().Now(),
            .status = HttpStatusOf(status.code()),
            .body = answer != nullptr ? JsonOf(*answer) : JsonOf(status)};
  HttpReply reply{.status = kept.status, .type = kJsonType, .body = kept.body, .headers = Age({})};
  kept_bytes_ += kept.body.size();
  kept_.push_front(std::move(kept));
  while (!kept_.empty() && (kept_.size() > kMaxKeptJson || kept_bytes_ > kMaxKeptJsonBytes)) {
    kept_bytes_ -= kept_.back().body.size();
    kept_.pop_back();
  }
  return reply;
}

HttpReply JsonApi::Refuse() {
  ++refused_;
  const absl::Status busy = Error(absl::StatusCode::kUnavailable, "BUSY",
                                  "too much is asked over HTTP at the moment; close pages, or ask less often")
                                .RetryAfter(std::chrono::seconds(kRetrySeconds));
  return {.status = HttpStatusOf(busy.code()), .type = kJsonType, .body = JsonOf(busy), .headers = RetryAfter()};
}

// --- Main thread ---

void JsonApi::Read(const v1::GetInfoRequest&, absl::AnyInvocable<void(absl::StatusOr<v1::Info>)> done) {
  v1::Info info;
  services_.admin->Describe(info);
  done(std::move(info));
}

void JsonApi::Read(const v1::ListVmsRequest& request,
                   absl::AnyInvocable<void(absl::StatusOr<v1::ListVmsResponse>)> done) {
  v1::ListVmsResponse response;
  const absl::Status status = services_.vms->List(request, response);
  status.ok() ? done(std::move(response)) : done(status);
}

void JsonApi::Read(const v1::GetVmRequest& request, absl::AnyInvocable<void(absl::StatusOr<v1::Vm>)> done) {
  v1::Vm vm;
  const absl::Status status = services_.vms->Read(request, vm);
  status.ok() ? done(std::move(vm)) : done(status);
}

void JsonApi::Read(const v1::ListConnectionsRequest& request,
                   absl::AnyInvocable<void(absl::StatusOr<v1::ListConnectionsResponse>)> done) {
  services_.connections->Read(request, std::move(done));
}

void JsonApi::Read(const v1::GetStatsRequest& request, absl::AnyInvocable<void(absl::StatusOr<v1::StatsReport>)> done) {
  services_.connections->Read(request, std::move(done));
}

void JsonApi::Read(const v1::ListCidsRequest& request,
                   absl::AnyInvocable<void(absl::StatusOr<v1::ListCidsResponse>)> done) {
  v1::ListCidsResponse response;
  const absl::Status status = services_.networks->List(request, response);
  status.ok() ? done(std::move(response)) : done(status);
}

}  // namespace kinsock
