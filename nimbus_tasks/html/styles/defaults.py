"""What browsers do where no sheet says otherwise (HTML Standard, section 15.3), as far as it moves text up or down."""

BROWSER = """
address, article, aside, blockquote, body, center, details, dialog, dd, dir, div, dl, dt, fieldset, figcaption, figure,
footer, form, h1, h2, h3, h4, h5, h6, header, hgroup, hr, html, legend, listing, main, menu, nav, ol, optgroup,
option, p, plaintext, pre, search, section, summary, ul, xmp { display: block }
li { display: list-item }
table { display: table }
tr { display: table-row }
tbody, thead, tfoot { display: table-row-group }
td, th { display: table-cell; padding: 1px }
caption { display: block }
area, base, basefont, col, colgroup, datalist, dialog:not([open]), head, link, meta, noembed, noframes, noscript, param,
rp, script, style, template, title, [hidden]:not([hidden="until-found" i]), [popover], input[type="hidden" i],
details:not([open]) > :not(summary) { display: none }
input, select, button, textarea, meter, progress, img, svg, video, canvas, iframe, object, embed, audio
  { display: inline-block }
body { margin: 8px }
p, dl, ul, ol, pre, blockquote, figure, dir, menu, listing, xmp, plaintext { margin: 1qem 0 }
blockquote, figure { margin: 1qem 40px }
dd { margin-left: 40px }
ul, ol, dir, menu { padding-left: 40px }
:is(ul, ol, dir, menu, dl) :is(ul, ol, dir, menu, dl) { margin-top: 0; margin-bottom: 0 }
h1 { font-size: 2em; margin: .67qem 0 }
h2 { font-size: 1.5em; margin: .83qem 0 }
h3 { font-size: 1.17em; margin: 1qem 0 }
h4 { margin: 1.33qem 0 }
h5 { font-size: .83em; margin: 1.67qem 0 }
h6 { font-size: .67em; margin: 2.33qem 0 }
h1, h2, h3, h4, h5, h6, b, strong, th { font-weight: bold }
pre, listing, xmp, plaintext { white-space: pre }
textarea { white-space: pre-wrap }
nobr { white-space: nowrap }
pre, code, kbd, samp, tt, listing, xmp, plaintext { font-family: monospace }
big { font-size: larger }
small, sub, sup { font-size: smaller }
hr { margin: .5em 0; border: 1px solid }
fieldset { margin: 0 2px; padding: .35em .75em .625em; border: 2px solid }
table { font-size: inherit; border-spacing: 2px }
table[cellspacing="0"] { border-spacing: 0 }
input, select, button, textarea { font-size: 13.333px; font-family: sans-serif; line-height: normal }
input { width: 153px; height: 21px }
input:is([type="checkbox" i], [type="radio" i]) { width: 13px; height: 13px; margin: 3px 3px 3px 4px }
input:is([type="image" i], [type="submit" i], [type="button" i], [type="reset" i]) { width: auto }
textarea { width: 161px; height: 36px }
select { height: 19px; width: 80px }
button { padding: 1px 6px; border: 2px solid }
audio { width: 300px; height: 54px }
audio:not([controls]) { display: none }
meter, progress { height: 16px; width: 80px }
"""
