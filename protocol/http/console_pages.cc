#include "protocol/http/console_pages.h"

namespace tidemark::http {
namespace {

/// Nothing from elsewhere is loaded or run, nothing that stands in the page itself is run or styles it (so markup that came in with a
/// record could do nothing even if it became markup), and no other page may frame this one. W3C Content Security Policy Level 3.
constexpr const char* kContentPolicy =
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

Page page_of(const EmbeddedFile& file) {
  return [file](UniqueFunction<void(Reply)> done) {
    Reply reply;
    reply.content_type = content_type_of(file.name);
    reply.body = std::string(file.bytes);
    reply.fields = {{"Content-Security-Policy", kContentPolicy}};
    done(std::move(reply));
  };
}

}  // namespace

std::string content_type_of(std::string_view name) {
  constexpr std::pair<std::string_view, const char*> kTypes[] = {{".html", "text/html; charset=utf-8"},
                                                                 {".js", "text/javascript; charset=utf-8"},
                                                                 {".css", "text/css; charset=utf-8"},
                                                                 {".json", "application/json"},
                                                                 {".svg", "image/svg+xml"},
                                                                 {".png", "image/png"},
                                                                 {".txt", "text/plain; charset=utf-8"},
                                                                 {".ico", "image/x-icon"},
                                                                 {".woff2", "font/woff2"},
                                                                 {".webmanifest", "application/manifest+json"}};
  for (const auto& [end, type] : kTypes) {
    if (name.ends_with(end)) return type;
  }
  return "application/octet-stream";
}

std::map<std::string, Page> console_pages() {
  std::map<std::string, Page> pages;
  for (const EmbeddedFile& file : embedded_files()) {
    if (file.name == "openapi.json") {
      pages["/api/v1/openapi.json"] = page_of(file);
      continue;
    }
    pages["/" + std::string(file.name)] = page_of(file);
    if (file.name == "index.html") pages["/"] = page_of(file);
  }
  return pages;
}

}  // namespace tidemark::http
