// SPDX-License-Identifier: Apache-2.0
#include "cli/view/conn_view.h"

#include <google/protobuf/util/time_util.h>

#include <ctime>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cli/text/duration.h"
#include "cli/text/output.h"
#include "cli/text/table.h"
#include "cli/view/vm_view.h"

namespace kinsock {
namespace {

using google::protobuf::util::TimeUtil;

// "web-1(42):1024" for a guest, "host:49152" for the host.
std::string EndText(const v1::Endpoint& end) {
  if (end.vm().empty()) return absl::StrCat(end.cid() == 2 ? "host" : absl::StrCat("cid ", end.cid()), ":", end.port());
  return absl::StrCat(ShortVmName(end.vm()), "(", end.cid(), "):", end.port());
}

// A path, "vsock:1:9001", or nothing.
std::string HostAddress(const v1::Endpoint& end) {
  if (end.host_cid() != 0) return absl::StrCat("vsock:", end.host_cid(), ":", end.host_port());
  return end.host_path();
}

std::string HostAddress(const v1::Connection& connection) {
  const std::string initiator = HostAddress(connection.initiator());
  return initiator.empty() ? HostAddress(connection.target()) : initiator;
}

std::string RenderTable(const v1::ListConnectionsResponse& list, const Options& options, bool with_rates) {
  const bool wide = options.format == OutputFormat::kWide;
  bool any_closed = false;
  for (const v1::Connection& connection : list.connections()) any_closed |= connection.has_close_time();
  std::vector<std::string> headers{"FROM", "TO", "STATE", "SENT", "RECEIVED", "AGE"};
  with_rates |= wide;
  if (with_rates) headers.insert(headers.end(), {"SENT/S", "RECEIVED/S"});
  if (any_closed) headers.insert(headers.end(), {"REASON", "ENDED"});
  if (wide) headers.insert(headers.end(), {"TYPE", "QUEUED", "CREDIT", "STALLS", "STALLED", "HOST", "NAME"});
  Table table(std::move(headers));
  for (const v1::Connection& connection : list.connections()) {
    const auto age = std::chrono::seconds(std::time(nullptr) - connection.start_time().seconds());
    std::vector<std::string> row{EndText(connection.initiator()),
                                 EndText(connection.target()),
                                 v1::Connection::State_Name(connection.state()),
                                 absl::StrCat(connection.to_target().bytes()),
                                 absl::StrCat(connection.to_initiator().bytes()),
                                 ShortAge(age)};
    if (with_rates) {
      row.push_back(absl::StrCat(connection.to_target().bytes_per_second()));
      row.push_back(absl::StrCat(connection.to_initiator().bytes_per_second()));
    }
    if (any_closed && connection.has_close_time()) {
      const auto ago = std::chrono::seconds(std::time(nullptr) - connection.close_time().seconds());
      row.push_back(v1::Connection::CloseReason_Name(connection.close_reason()));
      row.push_back(ShortAge(ago) + " ago");
    } else if (any_closed) {
      row.insert(row.end(), {"-", "-"});
    }
    if (wide) {
      const v1::Flow& sent = connection.to_target();
      const v1::Flow& received = connection.to_initiator();
      row.push_back(connection.type());
      row.push_back(absl::StrCat(sent.queued_bytes() + received.queued_bytes()));
      row.push_back(absl::StrCat(sent.credit(), "/", received.credit()));
      row.push_back(absl::StrCat(sent.credit_stalls(), "/", received.credit_stalls()));
      row.push_back(absl::StrCat(TimeUtil::ToString(sent.stalled()), "/", TimeUtil::ToString(received.stalled())));
      row.push_back(HostAddress(connection));
      row.push_back(connection.name());
    }
    table.Add(std::move(row));
  }
  return table.Render(options);
}

}  // namespace

std::string RenderConnections(const v1::ListConnectionsResponse& list, const Options& options, bool with_rates) {
  return RenderList(list.connections(), list, options.format, [&] { return RenderTable(list, options, with_rates); });
}

std::string RenderConnectionChange(const v1::WatchConnectionsResponse& change, const Options& options) {
  if (options.format == OutputFormat::kJson || options.format == OutputFormat::kJsonl) {
    return Render(change, OutputFormat::kJsonl);
  }
  if (options.format == OutputFormat::kYaml) return "---\n" + Render(change, options.format);
  if (!change.has_connection()) return "";
  const v1::Connection& connection = change.connection();
  if (options.format == OutputFormat::kName) return connection.name() + "\n";
  const std::string state = v1::Connection::State_Name(connection.state());
  std::string line = absl::StrCat(v1::WatchConnectionsResponse::Type_Name(change.type()), "  ",
                                  EndText(connection.initiator()), "  ", EndText(connection.target()), "  ", state,
                                  "  ", connection.to_target().bytes(), "  ", connection.to_initiator().bytes());
  if (connection.has_close_time()) {
    absl::StrAppend(&line, "  ", v1::Connection::CloseReason_Name(connection.close_reason()));
  }
  if (options.format == OutputFormat::kWide) absl::StrAppend(&line, "  ", connection.type(), "  ", connection.name());
  return line + "\n";
}

}  // namespace kinsock
