import Model

/// The status page's content: what is wrong stands first, then volumes and incidents, then everything else. Every state is
/// a word; its colour only repeats it. Sections have ids, by which the page's script puts new ones in their places.
package struct StatusPage: Sendable {
    private let facts: StatusFacts

    package init(_ facts: StatusFacts) { self.facts = facts }

    /// For the window's title: seen without looking at the page.
    package var title: String { "\(facts.verdict.rawValue) – Holdfast" }

    package var content: HTML {
        let tables = StatusTables(facts)
        let notable = tables.events(
            "notable", "What happened to the store", facts.notable,
            "Findings, repairs, volumes and incidents, the newest first")
        let events = tables.events("events", "Latest events", facts.events, "The newest events of the log")
        return """
            <div id="page" data-title="\(title)">
            \(verdict)\(concerns)\(volumes)\(incidents)\(notable)\(tables.throughput)\(tables.repositories)\(tables.jobs)\(tables.sinks)\(events)
            </div>
            """
    }

    // MARK: What is wrong

    private var verdict: HTML {
        let made = String(facts.made.description.prefix(19)).split(separator: "T").joined(separator: " ")
        return """
            <section id="verdict" class="verdict \(tone(facts.verdict))" aria-live="polite">
            <h1><span class="mark" aria-hidden="true">\(mark(facts.verdict))</span>\(facts.verdict.rawValue)</h1>
            <p>\(explanation)</p>
            <p class="meta">As of <time datetime="\(facts.made.description)">\(made) UTC</time> · event \(facts.head), confirmed through \(facts.confirmed) · \(facts.directory)</p>
            </section>

            """
    }

    private var explanation: String {
        switch facts.verdict {
        case .green:
            let days = facts.periodDays.map { " within \($0 == 1 ? "a day" : "\($0) days")" } ?? ""
            return
                "Every replica was read back and found good\(days), every volume is in service, and nothing is open."
        case .healing:
            return "Not everything is proved to be in order yet. The store is at it, and needs nobody."
        case .look:
            return "Something is not as it should be. What it is, what is done about it and what to do:"
        case .act:
            return "Something is lost or does not work. What it is, what is done about it and what to do:"
        case .unknown: return "Not everything that tells of the store's health can be read:"
        }
    }

    private func tone(_ verdict: StatusFacts.Verdict) -> String {
        switch verdict {
        case .green: "good"
        case .healing: "working"
        case .look: "look"
        case .act, .unknown: "bad"
        }
    }

    private func mark(_ verdict: StatusFacts.Verdict) -> String {
        switch verdict {
        case .green: "✓"
        case .healing: "↻"
        case .look: "!"
        case .act: "✕"
        case .unknown: "?"
        }
    }

    private var concerns: HTML {
        guard !facts.concerns.isEmpty || !facts.unreadable.isEmpty else {
            return "<section id=\"concerns\" hidden></section>\n"
        }
        let unreadable = facts.unreadable.map { reason -> HTML in
            """
            <li class="concern bad"><h3>Cannot be read</h3><p>\(reason)</p></li>

            """
        }
        return """
            <section id="concerns"><h2>What to know now</h2>
            <ol class="concerns">
            \(unreadable)\(facts.concerns.map(concern))</ol></section>

            """
    }

    private func concern(_ concern: StatusFacts.Concern) -> HTML {
        let (word, tone): (String, String) =
            switch concern.urgency {
            case .act: ("Act now", "bad")
            case .look: ("Look", "look")
            case .wait: ("Wait", "working")
            }
        let command: HTML =
            concern.command.isEmpty ? "" : "<br><code>\(concern.command)</code>"
        let remedy: HTML =
            concern.remedy.isEmpty && concern.command.isEmpty
            ? "nothing" : "\(concern.remedy)\(command)"
        return """
            <li class="concern \(tone)"><h3><span class="badge \(tone)">\(word)</span> \(concern.what)</h3>
            <dl><dt>Being done</dt><dd>\(concern.doing)</dd><dt>To do</dt><dd>\(remedy)</dd></dl></li>

            """
    }

    // MARK: Volumes

    private var volumes: HTML {
        """
        <section id="volumes"><h2>Volumes</h2>
        <div class="cards">\(facts.volumes.map(volume))</div></section>

        """
    }

    private func volume(_ volume: StatusFacts.Volume) -> HTML {
        var rows: [HTML] = []
        if let part = volume.part {
            let left = volume.secondsLeft.map { ", about \(IncidentText.duration($0)) left" } ?? ""
            let lag = volume.lagEvents.map { ", \(counted($0, "event")) behind" } ?? ""
            rows.append(row("Progress", "\(bar(part, "of volume \(volume.index)"))\(left)\(lag)"))
        }
        if !volume.reason.isEmpty, volume.part == nil { rows.append(row("Why", "\(volume.reason)")) }
        if let since = volume.since, volume.tone != .good {
            rows.append(row("Since", "\(PageText.ago(since, facts.made))"))
        }
        if let free = volume.freeBytes, let size = volume.sizeBytes, size > 0 {
            let used = size - min(size, free)
            let text = "\(PageText.size(free)) free of \(PageText.size(size))"
            rows.append(
                row(
                    "Space",
                    "<meter min=\"0\" max=\"100\" high=\"90\" optimum=\"0\" value=\"\(PageText.percent(Double(used) / Double(size)))\" aria-label=\"space in use\"></meter> \(text)"
                ))
        }
        if let verified = volume.verified {
            rows.append(row("Read whole", "\(PageText.ago(verified, facts.made))"))
        }
        rows.append(row("Waiting work", "\(volume.queued)"))
        return """
            <article class="card \(volume.tone.rawValue)"><h3>Volume \(volume.index) <span class="badge \(volume.tone.rawValue)">\(volume.state)</span></h3>
            <p class="path">\(volume.path)</p><dl>\(rows)</dl></article>

            """
    }

    private func row(_ name: String, _ value: HTML) -> HTML { "<dt>\(name)</dt><dd>\(value)</dd>" }

    private func bar(_ part: Double, _ what: String) -> HTML {
        let percent = PageText.percent(part)
        return
            "<progress max=\"100\" value=\"\(percent)\" aria-label=\"progress \(what)\"></progress> \(percent) %"
    }

    // MARK: Incidents

    private var incidents: HTML {
        guard !facts.incidents.isEmpty else {
            return section("incidents", "Incidents", "<p class=\"none\">There was none.</p>")
        }
        return section(
            "incidents", "Incidents",
            "\(facts.incidents.map(incident))\(more(facts.moreIncidents, "incident"))")
    }

    private func incident(_ incident: StatusFacts.Incident) -> HTML {
        let isOpen = incident.closed == nil
        let state = isOpen ? (incident.phase.isEmpty ? "open" : incident.phase) : "closed"
        let tone = isOpen ? "working" : "off"
        let times =
            "opened \(PageText.ago(incident.opened, facts.made))"
            + (incident.closed.map { ", closed \(PageText.ago($0, facts.made))" } ?? "")
        var body: HTML = ""
        if incident.counted == nil {
            body = "<p class=\"none\">Its versions are being counted.</p>"
        } else if incident.versions == 0 {
            body = "<p class=\"none\">No version is affected.</p>"
        } else {
            let left = incident.secondsLeft.map { ", about \(IncidentText.duration($0)) left" } ?? ""
            body = """
                <p>\(counted(incident.versions, "version")), \(PageText.size(incident.bytes)): \(incident.words)</p>
                <p>\(bar(incident.part, "of incident \(incident.id)")) settled\(left)</p>
                \(owners(incident))
                """
        }
        let open: HTML = isOpen ? " open" : ""
        return """
            <details id="incident-\(incident.id)"\(open)><summary><h3>Incident \(incident.id) <span class="badge \(tone)">\(state)</span> \(incident.reason)</h3></summary>
            <p class="meta">\(times)\(incident.outcome.isEmpty ? "" : " · \(incident.outcome)") · <code>holdfast incident show \(facts.directory) \(incident.id)</code></p>
            \(body)</details>

            """
    }

    private func owners(_ incident: StatusFacts.Incident) -> HTML {
        let rows = incident.owners.map { owner -> HTML in
            let part = owner.versions == 0 ? 1 : Double(owner.settled) / Double(owner.versions)
            let lost: HTML = owner.gone == 0 ? "0" : "<b class=\"bad\">\(owner.gone) lost</b>"
            return
                "<tr><th scope=\"row\"><bdi>\(owner.name)</bdi></th><td>\(owner.versions)</td><td>\(bar(part, "of \(owner.name)"))</td><td>\(lost)</td><td>\(owner.words)</td></tr>\n"
        }
        return """
            <div class="wide"><table><caption>Whose versions are affected, and how far they are</caption>
            <thead><tr><th scope="col">Owner</th><th scope="col">Versions</th><th scope="col">Settled</th><th scope="col">Lost</th><th scope="col">How they stand</th></tr></thead>
            <tbody>\(rows)</tbody></table></div>\(more(incident.moreOwners, "owner"))
            """
    }

    // MARK: Pieces

    private func section(_ id: String, _ title: String, _ body: HTML) -> HTML {
        "<section id=\"\(id)\"><h2>\(title)</h2>\n\(body)</section>\n"
    }

    private func more(_ count: Int, _ noun: String) -> HTML {
        count > 0 ? "<p class=\"none\">and \(counted(count, noun)) more</p>" : ""
    }
}
