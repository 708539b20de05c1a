// What the charts of a run share: a cursor, which reads the table of each figure, and a zoom, which
// stretches what is drawn. Neither has data of its own, and the page is whole without them.
(function () {
  'use strict';
  var SVG = 'http://www.w3.org/2000/svg';
  var READ = 'Point, or use the arrow keys, to read values; ', ZOOM = 'drag, or press + and −, to zoom.';
  var STEPS = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 900, 1800, 3600,
    7200, 10800, 21600, 43200, 86400, 172800];
  var UNITS = [[86400, 'd'], [3600, 'h'], [60, 'min'], [0, 's']];
  var runs = {}, clips = 0;

  document.querySelectorAll('figure[data-run]').forEach(function (figure) {
    var table = figure.querySelector('table.series');
    var name = figure.dataset.run;
    var run = runs[name] = runs[name] || { figures: [], charts: [], zoom: null, at: null };
    var own = { heads: table ? cells(table.tHead.rows[0]) : [], read: document.createElement('output') };
    own.rows = [].map.call(table ? table.tBodies[0].rows : [], function (row) {
      return { t: +row.dataset.t, cells: cells(row) };
    });
    own.read.className = 'read';
    own.all = document.createElement('button');
    own.all.textContent = 'Show all of the time';
    own.all.hidden = true;
    own.all.addEventListener('click', function () { zoom(run, null); });
    figure.querySelector('figcaption').after(own.read, own.all);
    run.figures.push(own);
    figure.querySelectorAll('svg[data-x]').forEach(function (svg) { run.charts.push(chart(run, own, svg)); });
    hint(run, own);
  });

  function cells(row) { return [].map.call(row.cells, function (cell) { return cell.textContent; }); }

  function add(parent, name, attributes) {
    var made = document.createElementNS(SVG, name);
    Object.keys(attributes).forEach(function (key) { made.setAttribute(key, attributes[key]); });
    return parent.appendChild(made);
  }

  function chart(run, figure, svg) {
    var x = svg.dataset.x.split(' ').map(Number), y = svg.dataset.y.split(' ').map(Number), id = 'zoom-' + clips++;
    var own = {
      svg: svg, figure: figure, x: x, y: y, id: id, moved: svg.querySelectorAll('g.z'), ticks: svg.querySelector('g.tx'),
      names: [].map.call(svg.querySelectorAll('g.zt text'), function (text) {
        var aside = text.getAttribute('text-anchor') === 'end' ? -6 : 6;
        return { text: text, aside: aside, x: +text.getAttribute('x') - aside };
      }),
      clip: add(add(svg, 'clipPath', { id: id }), 'rect', { y: y[0] - 2, height: y[1] - y[0] + 4 }),
      shown: add(svg, 'g', {}), chosen: add(svg, 'rect', { 'class': 'chosen', y: y[0], height: y[1] - y[0], width: 0 }),
      cursor: add(svg, 'path', { 'class': 'cur' })
    };
    var from = null;
    function at(event) {
      var box = svg.getBoundingClientRect();
      var place = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      return Math.max(x[0], Math.min(x[1], place));
    }
    function time(place) {
      var span = run.zoom || [x[2], x[3]];
      return span[0] + (place - x[0]) / (x[1] - x[0]) * (span[1] - span[0]);
    }
    function choose(to) {
      own.chosen.setAttribute('x', Math.min(from, to));
      own.chosen.setAttribute('width', Math.abs(from - to));
    }
    svg.setAttribute('tabindex', '0');
    svg.addEventListener('pointerdown', function (event) {
      if (!event.isPrimary || event.button) return;
      from = at(event);
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener('pointermove', function (event) {
      if (from !== null) choose(at(event));
      show(run, time(at(event)));
    });
    svg.addEventListener('pointerup', function (event) {
      var to = at(event);
      if (from !== null && Math.abs(from - to) > 6) zoom(run, [time(Math.min(from, to)), time(Math.max(from, to))]);
      from = null;
      own.chosen.setAttribute('width', 0);
    });
    svg.addEventListener('pointercancel', function () { from = null; own.chosen.setAttribute('width', 0); });
    svg.addEventListener('pointerleave', function () { if (from === null) show(run, null); });
    svg.addEventListener('dblclick', function () { zoom(run, null); });
    svg.addEventListener('keydown', function (event) {
      var step = { ArrowLeft: -1, ArrowRight: 1, Home: -1e9, End: 1e9 }[event.key];
      var times = { '+': 0.5, '=': 0.5, '-': 2 }[event.key];
      if (event.ctrlKey || event.metaKey || event.altKey || !(step || times)) return;
      event.preventDefault();
      var span = run.zoom || [x[2], x[3]], half = (span[1] - span[0]) / 2, middle = (span[0] + span[1]) / 2;
      if (times) {
        middle = run.at === null ? middle : run.at;
        return zoom(run, [middle - half * times, middle + half * times]);
      }
      var now = run.at === null ? (step < 0 ? figure.rows.length : -1) : nearest(figure.rows, run.at);
      var row = figure.rows[Math.max(0, Math.min(figure.rows.length - 1, now + step))];
      if (!row) return;
      // The cursor takes what is shown with it.
      if (run.zoom && (row.t < span[0] || row.t > span[1])) zoom(run, [row.t - half, row.t + half]);
      show(run, row.t);
    });
    return own;
  }

  // Shows this stretch of time in all charts of a run, or all of it.
  function zoom(run, span) {
    var first = Math.min.apply(null, run.charts.map(function (own) { return own.x[2]; }));
    var last = Math.max.apply(null, run.charts.map(function (own) { return own.x[3]; }));
    if (span) {
      var long = Math.max(span[1] - span[0], (last - first) / 200);
      var from = Math.max(first, Math.min(last - long, (span[0] + span[1] - long) / 2));
      span = long < (last - first) * 0.999 ? [from, from + long] : null;
    }
    run.zoom = span;
    run.charts.forEach(function (own) { stretch(own, span); });
    show(run, span && run.at !== null && (run.at < span[0] || run.at > span[1]) ? null : run.at);
  }

  function stretch(own, span) {
    var x = own.x, wide = x[1] - x[0];
    var times = span ? (x[3] - x[2]) / (span[1] - span[0]) : 1;
    var start = span ? x[0] + (span[0] - x[2]) / (x[3] - x[2]) * wide : x[0];
    own.clip.setAttribute('x', start);
    own.clip.setAttribute('width', wide / times);
    own.moved.forEach(function (part) {
      if (!span) return ['transform', 'clip-path'].forEach(function (name) { part.removeAttribute(name); });
      part.setAttribute('transform', 'matrix(' + [times, 0, 0, 1, x[0] - times * start, 0].join(' ') + ')');
      part.setAttribute('clip-path', 'url(#' + own.id + ')');
    });
    own.names.forEach(function (name) {
      var at = x[0] + (name.x - start) * times;
      name.text.setAttribute('x', at + name.aside);
      name.text.setAttribute('visibility', at < x[0] - 1 || at > x[1] - (span ? 60 : 0) ? 'hidden' : 'inherit');
    });
    own.ticks.setAttribute('visibility', span ? 'hidden' : 'inherit');
    own.shown.textContent = '';
    if (!span) return;
    var most = own.svg.classList.contains('n') ? 4 : 8, long = span[1] - span[0];
    var step = STEPS.find(function (own) { return long / own <= most; }) || STEPS[STEPS.length - 1];
    var unit = UNITS.find(function (own) { return step >= own[0]; });
    var digits = step < 1 ? Math.ceil(-Math.log10(step) - 1e-9) : 0;
    for (var n = Math.ceil(span[0] / step), first = n; n * step <= span[1]; n++) {
      var at = x[0] + (n * step - span[0]) / long * wide;
      add(own.shown, 'path', { 'class': 'ax', d: 'M' + at.toFixed(1) + ' ' + own.y[1] + 'v4' });
      var label = add(own.shown, 'text', { 'class': 'm', x: at.toFixed(1), y: own.y[1] + 17, 'text-anchor': 'middle' });
      label.textContent = (n * step / (unit[0] || 1)).toFixed(digits) + (n === first ? '\u00a0' + unit[1] : '');
    }
  }

  function hint(run, own) {
    own.read.textContent = run.zoom ? 'Zoomed in: double-click or Escape shows all.' :
      own.rows.length ? READ + ZOOM : 'To zoom, ' + ZOOM.replace(', to zoom', '');
    own.all.hidden = !run.zoom;
  }

  function nearest(rows, t) {
    return rows.reduce(function (best, row, at) {
      return best < 0 || Math.abs(row.t - t) < Math.abs(rows[best].t - t) ? at : best;
    }, -1);
  }

  // Puts the cursor at a time, or nowhere.
  function show(run, t) {
    run.at = t;
    run.figures.forEach(function (own) {
      hint(run, own);
      own.at = t === null ? -1 : nearest(own.rows, t);
      if (own.at < 0) return;
      own.read.textContent = '';
      own.rows[own.at].cells.forEach(function (cell, column) {
        var value = document.createElement('b');
        value.textContent = cell;
        own.read.append(column ? ' · ' : '', own.heads[column] + ' ', value);
      });
    });
    run.charts.forEach(function (own) {
      var row = own.figure.rows[own.figure.at], x = own.x, span = run.zoom || [x[2], x[3]];
      var at = row ? x[0] + (row.t - span[0]) / (span[1] - span[0]) * (x[1] - x[0]) : -1;
      var seen = at >= x[0] && at <= x[1];
      own.cursor.setAttribute('d', seen ? 'M' + at.toFixed(1) + ' ' + own.y[0] + 'V' + own.y[1] : '');
    });
  }

  function all() { Object.keys(runs).forEach(function (name) { zoom(runs[name], null); }); }
  document.addEventListener('keydown', function (event) { if (event.key === 'Escape') all(); });
  window.addEventListener('beforeprint', all);
})();
