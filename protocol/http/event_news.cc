#include "protocol/http/event_news.h"

namespace tidemark::http {
namespace {

std::string line(const std::string& name, const std::string& data) { return "event: " + name + "\ndata: " + data + "\n\n"; }

}  // namespace

std::string EventNews::text(std::vector<Event> now) {
  std::string text;
  std::map<std::pair<std::string, std::string>, Told> here;
  for (Event& event : now) {
    const auto before = told_.find({event.name, event.key});
    std::string version = event.version.empty() ? event.data : std::move(event.version);
    if (before == told_.end() || before->second.version != version) text += line(event.name, event.data);
    here[{std::move(event.name), std::move(event.key)}] = {std::move(version), std::move(event.gone)};
  }
  for (const auto& [what, told] : told_) {
    if (!told.gone.empty() && !here.contains(what)) text += line(what.first, told.gone);
  }
  told_ = std::move(here);
  return text;
}

std::string EventNews::only(Event now) {
  for (auto& [what, told] : told_) told.gone.clear();  // It is not known what became of them.
  std::vector<Event> one;
  one.push_back(std::move(now));
  return text(std::move(one));
}

}  // namespace tidemark::http
