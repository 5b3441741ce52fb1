import Digests
import Foundation
import HTTPTypes
import ObjectStore

/// The page around ``StatusPage``: its looks, and the few lines of script that keep it live. Neither needs another file,
/// and nothing else may run or be fetched: the policy names both by their digests.
///
/// Without scripts the page reloads itself. With them, its content is fetched every two seconds and put in place node by
/// node, so that what somebody reads, selects or has folded stays as it is; when no answer comes, the page says so over
/// everything, since what it shows may be true no more.
enum StatusDocument {
    static let path = "/status"
    static let contentPath = "/status/content"

    static func page(_ page: StatusPage) -> HTML {
        """
        <!DOCTYPE html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>\(page.title)</title>
        <noscript><meta http-equiv="refresh" content="5"></noscript>
        <style>\(style)</style>
        </head>
        <body>
        <header><b>Holdfast</b> <span id="live" role="status"><noscript>reloads every 5 seconds</noscript></span></header>
        <main>\(page.content)</main>
        <footer>\(Release.name) · <a href="/metrics">metrics</a> · <a href="/health/green">health</a></footer>
        <script>\(script)</script>
        </body>
        </html>

        """
    }

    /// What every answer of the status page says of how it may be used.
    static let headers: HTTPFields = {
        var fields: HTTPFields = [
            .contentType: "text/html; charset=utf-8", .cacheControl: "no-store",
            .contentSecurityPolicy:
                "default-src 'none'; style-src \(source(style)); script-src \(source(script)); connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            .xContentTypeOptions: "nosniff",
        ]
        for (name, value) in [("Referrer-Policy", "no-referrer"), ("X-Frame-Options", "DENY")] {
            guard let name = HTTPField.Name(name) else { preconditionFailure("\(name) is a token") }
            fields[name] = value
        }
        return fields
    }()

    /// As a content security policy names an inline element.
    private static func source(_ element: HTML) -> String {
        "'sha256-\(Data(SHA256.hash(Array(element.text.utf8))).base64EncodedString())'"
    }

    private static let script: HTML = """
        (() => {
          const live = document.getElementById('live');
          let seen = Date.now();
          const put = (old, next) => {
            if (old.nodeType !== next.nodeType || old.nodeName !== next.nodeName || old.id !== next.id) {
              old.replaceWith(next.cloneNode(true));
              return;
            }
            if (old.nodeType === Node.TEXT_NODE) {
              if (old.data !== next.data) old.data = next.data;
              return;
            }
            for (const {name} of [...old.attributes])
              if (name !== 'open' && !next.hasAttribute(name)) old.removeAttribute(name);
            for (const {name, value} of next.attributes)
              if (name !== 'open' && old.getAttribute(name) !== value) old.setAttribute(name, value);
            const before = [...old.childNodes], after = [...next.childNodes];
            after.forEach((node, place) => before[place] ? put(before[place], node) : old.append(node.cloneNode(true)));
            before.slice(after.length).forEach(node => node.remove());
          };
          const say = (text, tone) => {
            if (live.textContent !== text) live.textContent = text;
            live.className = tone;
            document.body.classList.toggle('stale', tone === 'bad');
          };
          const step = async () => {
            try {
              const answer = await fetch(location.origin + '/status/content', {
                cache: 'no-store', credentials: 'same-origin', signal: AbortSignal.timeout(10000)});
              if (!answer.ok) throw new Error('the server answered ' + answer.status);
              const page = new DOMParser().parseFromString(await answer.text(), 'text/html').getElementById('page');
              put(document.getElementById('page'), page);
              document.title = page.dataset.title;
              seen = Date.now();
              say('live', 'good');
            } catch (error) {
              const seconds = Math.round((Date.now() - seen) / 1000);
              const why = error instanceof TypeError ? 'no answer' : error.message;
              say(why + ': what stands here is ' + seconds + ' s old', 'bad');
              document.title = 'No answer – Holdfast';
            }
            setTimeout(step, 2000);
          };
          setTimeout(step, 500);
        })();
        """

    private static let style: HTML = """
        :root{--page:#f4f6f8;--card:#fff;--text:#18212b;--soft:#566270;--line:#d5dbe1;--good:#17692f;--good-soft:#dff3e4;--working:#0b5cad;--working-soft:#dfeefc;--look:#7a5200;--look-soft:#fdf0cf;--bad:#a61b14;--bad-soft:#fde4e1;--off-soft:#e6eaee}
        @media(prefers-color-scheme:dark){:root{--page:#10151b;--card:#19212a;--text:#e6ebf0;--soft:#9dabb9;--line:#313c48;--good:#74d58d;--good-soft:#14351f;--working:#86bdf6;--working-soft:#12304f;--look:#f0c25a;--look-soft:#3d2f0c;--bad:#ff9c93;--bad-soft:#4a1714;--off-soft:#2a333d}}
        *{box-sizing:border-box}
        body{margin:0;background:var(--page);color:var(--text);font:15px/1.5 system-ui,sans-serif}
        header,main,footer{max-width:72rem;margin:0 auto;padding:0 1rem}
        header{display:flex;gap:.75rem;align-items:baseline;padding-top:.75rem;padding-bottom:.25rem}
        #live{color:var(--soft);font-size:.85rem}#live.good::before{content:"● ";color:var(--good)}
        #live.bad{color:var(--bad);font-weight:600}.stale main{opacity:.55}
        h1{font-size:2rem;line-height:1.2;margin:0}h2{font-size:1.15rem;margin:1.75rem 0 .5rem}
        h3{font-size:1rem;line-height:1.4;margin:0;display:inline}
        p{margin:.35rem 0}.meta,.path,.none,figcaption,caption{color:var(--soft);font-size:.85rem}
        .path,.meta,dd,td,h3{overflow-wrap:anywhere}
        code{font:.9em ui-monospace,monospace;background:var(--off-soft);padding:.1em .35em;border-radius:.3em;overflow-wrap:anywhere}
        .verdict{border-radius:.75rem;padding:1.1rem 1.25rem;margin-top:.5rem;border-left:.6rem solid}
        .verdict .meta{color:inherit;opacity:.85}
        .mark{display:inline-block;min-width:1.3em}
        .verdict.good{background:var(--good-soft);color:var(--good)}.verdict.working{background:var(--working-soft);color:var(--working)}
        .verdict.look{background:var(--look-soft);color:var(--look)}.verdict.bad{background:var(--bad-soft);color:var(--bad)}
        .concerns{list-style:none;margin:0;padding:0;display:grid;gap:.6rem}
        .concern{background:var(--card);border:1px solid var(--line);border-left:.35rem solid var(--line);border-radius:.5rem;padding:.7rem .9rem}
        .concern.bad{border-left-color:var(--bad)}.concern.look{border-left-color:var(--look)}.concern.working{border-left-color:var(--working)}
        dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem .8rem;margin:.4rem 0 0}dt{color:var(--soft)}dd{margin:0}
        .badge{display:inline-block;border-radius:1rem;padding:0 .6rem;font-size:.82rem;font-weight:600;background:var(--off-soft);color:var(--soft)}
        .badge.good{background:var(--good-soft);color:var(--good)}.badge.working{background:var(--working-soft);color:var(--working)}
        .badge.look{background:var(--look-soft);color:var(--look)}.badge.bad{background:var(--bad-soft);color:var(--bad)}
        b.bad,.tiles .bad b{color:var(--bad)}
        .cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(17rem,1fr));gap:.75rem}
        .card{background:var(--card);border:1px solid var(--line);border-top:.3rem solid var(--good);border-radius:.5rem;padding:.7rem .9rem}
        .card.working{border-top-color:var(--working)}.card.bad{border-top-color:var(--bad)}
        .tiles{list-style:none;margin:0;padding:0;display:grid;grid-template-columns:repeat(auto-fit,minmax(7.2rem,1fr));gap:.6rem}
        .tiles li{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.5rem .8rem}
        .tiles span,.tiles small{display:block;color:var(--soft);font-size:.8rem}.tiles b{font-size:1.3rem;font-weight:600}
        figure{margin:.75rem 0 0}svg{display:block;width:100%;height:5rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
        polyline{fill:none;stroke:var(--working);stroke-width:1.5;vector-effect:non-scaling-stroke}
        details{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .9rem;margin:.5rem 0}
        summary{cursor:pointer}
        .wide{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:.5rem}
        details .wide{border:0}
        table{border-collapse:collapse;width:100%}caption{text-align:left;padding:.5rem .75rem}
        th,td{text-align:left;vertical-align:top;padding:.35rem .75rem;border-top:1px solid var(--line)}
        thead th{color:var(--soft);font-weight:600;font-size:.85rem}th{white-space:nowrap;font-weight:600}td{min-width:4.5rem}
        progress,meter{width:7rem;height:.8rem;vertical-align:middle;accent-color:var(--working)}
        a{color:inherit}footer{color:var(--soft);font-size:.85rem;padding-top:1.5rem;padding-bottom:2rem}
        @media(max-width:40rem){body{font-size:14px}h1{font-size:1.6rem}dl{grid-template-columns:1fr}dt{font-size:.85rem;margin-top:.2rem}}
        """
}
